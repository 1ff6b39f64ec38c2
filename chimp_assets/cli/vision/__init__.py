"""Commands about networks as files, a module for each noun. Does not belong here: the networks (`vision`)."""

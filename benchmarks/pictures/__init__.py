"""Pictures as an archive, measured."""

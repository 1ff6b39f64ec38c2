"""Commands that answer a question of science with more than one query."""

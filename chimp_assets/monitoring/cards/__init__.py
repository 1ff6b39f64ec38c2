"""Model cards: their facts, their words, their files."""

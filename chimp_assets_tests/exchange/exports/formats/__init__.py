"""The formats for programs of science: each is read back, and says what the views say."""

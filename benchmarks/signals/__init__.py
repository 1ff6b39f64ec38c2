"""What signals of pictures cost and what they find."""

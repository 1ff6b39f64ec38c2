"""Boxes of animals in single pictures, and how good they are."""

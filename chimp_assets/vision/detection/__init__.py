"""Boxes: what proposes them, what is learned from drawn ones, how good they are."""

"""Weighing the witnesses of one file: their clocks as moments, and one file for each kind of name."""

"""Tests mirror the package; each name is a sentence that would be false if the code were wrong."""

"""Labelling: progress, own answers, people, and cases for review."""

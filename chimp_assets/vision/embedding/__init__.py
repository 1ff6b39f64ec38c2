"""Tracks as vectors: embedders, how they are learned, the files of vectors."""

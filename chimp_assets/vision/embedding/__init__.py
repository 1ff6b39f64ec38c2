"""Tracks as vectors: embedders, how an archive gets one, the files of vectors."""

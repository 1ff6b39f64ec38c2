"""Tracks that are rewritten: cut, joined, found anew; and what follows from it for answers and questions."""

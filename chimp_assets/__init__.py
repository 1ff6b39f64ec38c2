"""Chimp Assets: an archive of wildlife video becomes a SQL database of who was seen where, when and with whom.

Nothing is wired or imported here, so that any room of the house can be used alone: from a notebook, a script or a test.
"""

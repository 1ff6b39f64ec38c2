"""Tracks that look alike: the vectors of the archive as files that are scanned where they lie.

Belongs here: segments of vectors on disk (`segments`), which of them make up the index (`catalogue`), the scan
(`scan`), examples as one question (`examples`), and keeping up with bundles and embedders (`living`).
Does not belong here: making vectors (`embedding.bundle`), what of the archive is asked about (`insight`), pages
(`web`).

The index is a cache: all of it is made again from the embedding files of the store. It lies in a folder of the machine
that answers, so that a store at the other end of a network is read once and not for each question.
"""

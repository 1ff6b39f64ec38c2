"""Detector, tracker, embedder, head: from pictures to names. Plain Python and torch, without Dagster.

Rooms, each depending only on those above it: `models`, `pictures` / `learning`, `datasets` / `detection`, `embedding` /
`tracking`, `identity` / `evaluation` / `train`, the entry point of trainings.
"""

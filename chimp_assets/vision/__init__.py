"""Detector, tracker, embedder, head: from pictures to names. Plain Python and torch; knows no dagster."""

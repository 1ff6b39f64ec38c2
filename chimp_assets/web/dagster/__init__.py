"""Dagster's web UI behind our door."""

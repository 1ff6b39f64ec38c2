"""Dagster's web UI behind a sign-in."""

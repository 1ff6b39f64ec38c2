"""Tests of the demo's archive, expert, baseline and report."""

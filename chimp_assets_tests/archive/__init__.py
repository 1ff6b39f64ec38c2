"""Tests of videos to frames."""

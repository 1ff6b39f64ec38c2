"""Tests of what to ask next."""

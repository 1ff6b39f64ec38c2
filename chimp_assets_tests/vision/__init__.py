"""Tests of chimp_assets.vision."""

"""Tests of chimp_assets.web: the application over HTTP, without a browser."""

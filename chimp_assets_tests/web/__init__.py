"""Tests of chimp_assets.web: the server, and the page in a real browser."""

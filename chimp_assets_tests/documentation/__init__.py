"""Tests of docs/: what exists is documented, links lead somewhere, generated pages are current, recipes work."""

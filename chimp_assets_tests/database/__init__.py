"""Tests of chimp_assets.database, on SQLite and on a real PostgreSQL."""

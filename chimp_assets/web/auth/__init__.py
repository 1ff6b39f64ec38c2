"""Signing in: accounts, sessions, roles, and the guard around every request."""

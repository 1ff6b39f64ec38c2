"""Mothers and those who depend on them: whose tracks count when, and how often a mother has her infant with her."""

"""Rows as CSV files: labels, individuals and effort, in and out."""

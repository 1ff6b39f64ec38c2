"""Dated reports."""

"""Telling people of alerts: who was told what (`telling`), and the ways to them (`channels`)."""

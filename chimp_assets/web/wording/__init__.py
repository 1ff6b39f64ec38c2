"""Texts of the pages in the language of the reader."""

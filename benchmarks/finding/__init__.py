"""Rows of what is found in an archive: tracks that look alike.

Belongs here: modules with `measure() -> Iterator[Row]`. Does not belong here: what pages and the cookbook cost
(`rows`).
"""

"""The performance table and other measurements, each of the product against its peers in the same run.

Belongs here: what is measured, on what, against what. Does not belong here: tests; a timing never fails one.
"""

"""The demo: a generated archive with known truth, an expert who answers from it, a baseline and a report.

Nothing outside this room may import it, and nothing in the rooms of the product ever reads the truth.
"""

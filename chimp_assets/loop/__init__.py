"""The steps of the loop in plain Python, called by assets, commands and the demo alike.

Knows no dagster and prints nothing.
"""

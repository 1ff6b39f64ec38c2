"""The steps of the loop in plain Python, one a file, called by assets, commands and the demo alike.

Belongs here: what a step does in which order, each safe to be killed and run again. Does not belong here: dagster,
printing, and the work itself (`archive`, `vision`, `acquisition`, `database`).
"""

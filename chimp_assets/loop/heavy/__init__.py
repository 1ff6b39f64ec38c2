"""HEAVY work that is no training, many bundles at a time, by one command: `python -m chimp_assets.loop.heavy`.

Belongs here: the command and its tasks, how it is asked for, work that only such a job does. Does not belong here: work
that runs and commands do too (`loop`), where a step runs (`chimp_assets.compute`).
"""

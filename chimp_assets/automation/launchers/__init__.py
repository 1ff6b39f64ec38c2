"""Where runs go: launchers that an instance's dagster.yaml names, and the worker that Celery's launcher sends them to.

Belongs here: starting a run, ending it, and noticing that it is gone. Does not belong here: what a run does (`jobs`),
which runs are asked for (`sensors`).
"""

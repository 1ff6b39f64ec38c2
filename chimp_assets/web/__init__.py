"""The labelling page and its server: everything that people see and do in a browser.

Belongs here: HTTP, sign-in, roles, pages, pictures. Does not belong here: what an answer means (`database.labels`),
which tracks are asked (`acquisition`, `loop.plan`). Only the command line imports this package.
"""

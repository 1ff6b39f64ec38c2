"""The labelling page and its server: what people see and do in a browser.

Belongs here: HTTP, sign-in, roles, pages, pictures. Does not belong here: what an answer means (`database.events`),
what is asked (`acquisition`, `planning`). Nothing outside this package imports it but the command line.
"""

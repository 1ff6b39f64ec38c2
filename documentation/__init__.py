"""Pages of docs/ that are written from the code: `make docs` writes docs/reference, `make questions` a demo's answers.

Belongs here: what a generated page shows and how. Does not belong here: prose (people write it in docs/), and the
descriptions themselves, which stand beside the setting, option, route, asset or sensor that they describe.
"""

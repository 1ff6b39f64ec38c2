"""The licences of the packages that users install: `make licences` lists them and fails on what we do not allow.

Belongs here: reading what packages say of themselves, and the table of what we allow (`allowed.toml`), each exception
with its reason. Does not belong here: what tests and benchmarks need, which nobody ships;
docs/licences.md says what wheels carry beside their own code.
"""

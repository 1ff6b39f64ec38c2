"""What checks deploy/ and azure/ without a cluster, a registry or a subscription: `make deploy-check`.

Belongs here: running the checkers of requirements-deploy.lock, rules of our own on what they understand, and the
faults that each of them must find. Does not belong here: what can be checked with the product itself, such as names of
settings and commands (`chimp_assets_tests/deploy`): the checkers live in an environment of their own, without it.
"""

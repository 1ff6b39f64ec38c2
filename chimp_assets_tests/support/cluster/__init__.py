"""Several machines on one: hosts that share nothing but a network, and the servers that they talk to."""

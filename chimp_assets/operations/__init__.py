"""What an operator runs: all processes of a home together, a look over everything, a sweep of the store."""

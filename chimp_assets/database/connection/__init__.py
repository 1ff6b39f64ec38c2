"""One database, wherever it lives: addresses, transactions, drivers, bulk writes, faults that pass.

Knows no table of ours but `counter`.
"""

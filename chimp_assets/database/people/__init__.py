"""Who answers, and whom a text means: users, names, leases. Knows nothing of what individuals are."""

"""Who may come in and do what: accounts, sessions, roles, and what every request must pass."""

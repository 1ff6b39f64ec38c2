"""What must hold on several machines, on hosts that share a network alone. `make test-cluster` runs it."""

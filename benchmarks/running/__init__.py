"""Benchmarks of the running system: the daemon and its processes as `chimp up` starts them."""

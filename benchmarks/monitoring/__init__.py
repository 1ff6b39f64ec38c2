"""What is promised of watching: simulations, each figure beside its target and its foils."""

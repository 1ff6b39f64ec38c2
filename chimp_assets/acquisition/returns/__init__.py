"""What labels have bought: learning curves, savings, when to stop."""

"""The loop of learning: steps, checkpoints, several processes."""

"""From vectors to names: heads, predictions, unknown animals, doubtful labels."""

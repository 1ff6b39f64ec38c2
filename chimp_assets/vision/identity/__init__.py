"""From vectors to names: the head, predictions, animals it does not know."""

"""What is still to be done, and the queue of questions."""

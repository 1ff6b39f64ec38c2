"""What more machines, or a GPU, are worth."""

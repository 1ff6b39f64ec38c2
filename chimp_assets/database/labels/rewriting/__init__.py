"""What a split, a merge or another detector does to tracks, and to the answers and questions about them."""

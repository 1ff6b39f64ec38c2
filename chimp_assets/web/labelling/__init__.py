"""What the labelling screens are made of: items, pictures, gold."""

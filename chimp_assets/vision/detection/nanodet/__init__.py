"""NanoDet-g: its package, its network, a detector with motion as second opinion, training it further."""

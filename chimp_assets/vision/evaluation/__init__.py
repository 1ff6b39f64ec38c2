"""How good a head is, and whether it becomes the champion."""

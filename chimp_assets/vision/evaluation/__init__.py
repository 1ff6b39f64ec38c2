"""How good models are, and which of them becomes the champion."""

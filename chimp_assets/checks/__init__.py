"""WHAT must hold: asset checks, one file per asset file."""

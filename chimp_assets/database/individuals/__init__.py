"""Individuals: what may be known of their lives, what is known, and two who turn out to be one."""

"""The JSON interface: one file for each noun. Handlers are thin: read, call a domain function, answer."""

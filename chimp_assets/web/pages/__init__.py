"""The pages: one file for each screen. Handlers read, call a domain function and hand the facts to a template."""

"""The pages: one file for each screen. A handler reads the request, calls a domain function, and fills a template."""

"""Tests of the server of the labelling page: over HTTP, without a browser."""

"""WHAT exists: the asset graph, one file per stage of the flow. Thin: read, call, write, describe."""

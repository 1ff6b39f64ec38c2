"""Rows of the performance table that `python -m benchmarks ROW` measures, one file each.

Belongs here: modules with `measure() -> Iterator[Row]`. Does not belong here: measurements that documents name by their
module (`benchmarks.tracking`): they lie above.
"""

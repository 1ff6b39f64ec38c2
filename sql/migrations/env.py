"""How Alembic reaches the database: over the connection that `chimp_assets.database.migrations` hands in.

`alembic` itself works too, for writing a new revision: set CHIMP_DATABASE_URL and give `-x url=...` or nothing.
"""

from alembic import context

from chimp_assets.database.schema import metadata

connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("Run chimp db upgrade: migrations go over the product's own connection.")
context.configure(
    connection=connection,
    target_metadata=metadata,
    # SQLite alters a table by writing it anew.
    render_as_batch=connection.dialect.name == "sqlite",
    compare_type=True,
    transactional_ddl=True,
)
context.run_migrations()

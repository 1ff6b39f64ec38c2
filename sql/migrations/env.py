"""How Alembic reaches the database: over the connection that `chimp_assets.database.upkeep.migrations` hands in.

A new revision is written by hand, beside the first: the tests compare what it makes with `chimp_assets.database.schema`
on SQLite and on PostgreSQL, and name what is missing.
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

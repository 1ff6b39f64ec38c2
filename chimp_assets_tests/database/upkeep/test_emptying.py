"""An emptied database is the migrated one."""

from chimp_assets.database.connection.engine import Database
from chimp_assets.database.people.users import add_user
from chimp_assets_tests.database.emptying import empty, seeds_of
from chimp_assets_tests.database.world import make_world, plan, track


def test_an_emptied_database_is_as_it_was_migrated(db: Database) -> None:
    """On a server each test would else wait a minute for a database of its own, or find the rows of another."""
    seeds = seeds_of(db)
    assert "counter" in seeds
    make_world(db)
    plan(db, [track(1)])
    empty(db, seeds)
    assert seeds_of(db) == seeds
    assert add_user(db, "anna", "expert") == 1

"""The rule of the whole suite about results that are open (`open_results`): that it sees what it must."""

import pytest
import sqlalchemy as sa

from chimp_assets.database.schema import counter
from chimp_assets_tests.support.open_results import OpenResults


@pytest.fixture
def engine():
    engine = sa.create_engine("sqlite://")
    OpenResults().listen(engine)
    counter.create(engine)
    with engine.begin() as conn:
        conn.execute(sa.insert(counter), [{"name": name, "value": 1} for name in "abc"])
    return engine


SELECT = sa.select(counter.c.name)


@pytest.mark.parametrize("second", [SELECT, sa.update(counter).values(value=2)], ids=["read", "write"])
def test_a_statement_amid_the_rows_of_another_is_an_error(engine, second):
    """ "Connection is busy with results for another command" (SQL Server), as of the page of an individual."""
    with engine.begin() as conn:
        rows = conn.execute(SELECT)
        rows.fetchone()
        with pytest.raises(AssertionError, match="began while rows were left"):
            conn.execute(second)
        rows.close()


def test_a_result_that_waits_in_a_variable_is_one_too(engine):
    """As in the home page's repeat answers: two results made, then both read."""
    with engine.begin() as conn:
        rows = conn.scalars(SELECT)
        with pytest.raises(AssertionError):
            conn.execute(SELECT)
        assert len(rows.all()) == 3


def test_results_that_were_read_or_that_nobody_holds_are_none(engine):
    """A rule that cries at everything is switched off."""
    with engine.begin() as conn:
        rows = conn.execute(SELECT).all()
        conn.execute(SELECT)
        for _ in rows:
            assert conn.scalar(SELECT) == "a"
            conn.execute(SELECT).first()
        assert [name for (name,) in conn.execute(SELECT)] == ["a", "b", "c"]
        assert conn.execute(sa.update(counter).values(value=3)).rowcount == 3


def test_results_of_two_connections_are_two(engine, tmp_path):
    """What waits on one connection keeps no other waiting."""
    two = sa.create_engine(f"sqlite:///{tmp_path / 'two.db'}", poolclass=sa.pool.NullPool)
    OpenResults().listen(two)
    counter.create(two)
    with two.begin() as conn:
        conn.execute(sa.insert(counter), [{"name": name, "value": 1} for name in "abc"])
    with two.connect() as one, two.connect() as other:
        rows = one.execute(SELECT)
        assert len(other.execute(SELECT).all()) == 3
        assert len(rows.all()) == 3


def test_what_a_test_leaves_open_is_its_own_affair(tmp_path):
    """The rule is about the product's results: a test may look at one row after another."""
    rule, engine = OpenResults(str(tmp_path)), sa.create_engine("sqlite://")
    rule.listen(engine)
    counter.create(engine)
    with engine.begin() as conn:
        conn.execute(sa.insert(counter), [{"name": name, "value": 1} for name in "abc"])
        assert [conn.scalar(SELECT.limit(1)) for _ in conn.execute(SELECT)] == ["a"] * 3
    product = tmp_path / "product.py"
    product.write_text("def opened(conn, select):\n    return conn.execute(select)\n")
    made: dict = {}
    exec(compile(product.read_text(), str(product), "exec"), made)
    with engine.begin() as conn:
        rows = made["opened"](conn, SELECT)
        with pytest.raises(AssertionError):
            conn.execute(SELECT)
        list(rows)

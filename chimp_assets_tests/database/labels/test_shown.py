"""What a page showed: kept as it came, read by one module, searched by columns."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.labels import shown
from chimp_assets.database.labels.events import record_events
from chimp_assets_tests.database.world import event, make_world, track

SEARCHED = [
    (None, (None, None, None)),
    ('{"mode": "review", "flag": true}', ("review", True, None)),
    ('{"mode":"single","candidates":[["\\"flag\\":true",0.5]]}', ("single", None, None)),
    ('{"conflict":"5f2c2f0e-9d0a-5a57-8a53-0c7a51b6f1de"}', (None, None, "5f2c2f0e-9d0a-5a57-8a53-0c7a51b6f1de")),
    ('{"mode":"\\u0000","flag":1,"conflict":{}}', (None, None, None)),
    ('{"mode":"a word that is longer than its column","conflict":"\\ud800"}', (None, None, None)),
    ('["flag", true]', (None, None, None)),
]


@pytest.mark.parametrize(("text", "columns"), SEARCHED)
def test_what_is_searched_is_stored_in_columns_however_the_json_is_written(
    db: Database, text: str | None, columns: tuple[str | None, bool | None, str | None]
) -> None:
    """A search by LIKE missed JSON with blanks, and found a flag in somebody's name."""
    make_world(db)
    assert [result.status for result in record_events(db, [event("unknown", track(1), shown=text)])] == ["stored"]
    a = s.annotation.c
    with db.read() as conn:
        row = conn.execute(sa.select(a.shown, a.shown_mode, a.shown_flag, a.shown_conflict)).one()
    assert tuple(row) == (text, *columns)


def test_suggestions_that_are_none_are_left_out() -> None:
    """One NaN from a browser, and no reviewer could open the queue: JSON has no such number."""
    sent = [["FF", 0.5], ["FI", float("nan")], ["FD", 10**400], ["GM"], "FF", ["GM", "0.5"], ["GM", 1]]
    read = shown.Shown.of(json.dumps({"candidates": sent}))
    assert read.candidates == [("FF", 0.5), ("GM", 1.0)]
    assert shown.Shown.of("{").candidates is None


def test_a_conflict_is_marked_only_where_the_text_stays_storable() -> None:
    """A mark must not keep an answer from being stored."""
    assert shown.with_conflict(None, "id") == '{"conflict":"id"}'
    assert shown.with_conflict('{"mode": "box"}', "id") == '{"mode":"box","conflict":"id"}'
    for text in ("{", "[1]", json.dumps({"long": "x" * (shown.LENGTH - 12)})):
        assert shown.with_conflict(text, "id") == text


def test_json_that_python_cannot_follow_is_rejected_with_a_sentence(db: Database) -> None:
    """Two thousand brackets fit into the column, and not into the parser."""
    make_world(db)
    (result,) = record_events(db, [event("unknown", track(1), shown="[" * 1_999 + "]" * 1_999)])
    assert result.status in ("stored", "rejected")  # as deep as this Python can read
    assert shown.Shown.of("[" * 100_000).facts == {}

"""A search in the conditions of exports selects the tracks that the search found, or is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.labels.events import record_events
from chimp_assets.exchange.exports.conditions import ConditionError, selection_of, selection_of_pairs
from chimp_assets.insight.search.as_conditions import conditions_of
from chimp_assets.insight.search.query import SearchError, parse
from chimp_assets.insight.search.reading import read_columns, stamp_of
from chimp_assets_tests.database import t_sql
from chimp_assets_tests.database.world import event
from chimp_assets_tests.exchange.exports.conftest import finish_study

SEARCHES = (
    "", "who=FF", "who=FF&who=FI", "who=!FF", "who=FF&who=FI&who=!FI", "who=!FF&status=named", "with=FF",
    "with=FF&who=FD", "with=FF&status=unnamed", "cam=a/cam1", "cam=–/cam1", "cam=a/cam1&cam=b/cam1", "status=named",
    "status=unnamed", "status=unknown", "status=unlabelled&status=not_animal", "status=named&status=bad_box",
    "by=person", "by=model", "by=volunteers&by=model", "by=person&status=named", "sex=F", "sex=M&sex=U",
    "age=adult", "age=infant&sex=M", "light=infrared", "light=dim&light=mixed", "light=not_known",
    "light=day&light=not_known", "flag=1", "flag=1&status=named", "p=0.6-0.8", "p=0.75", "p=-0.7&by=model",
    "quality=0.5-", "quality=0.3-0.6&who=FF", "hour=7", "hour=8-20", "since=2013-05-07&until=2013-05-11", "video=3",
    "video=3&status=named", "who=FF&hour=6-9&light=day&p=0.5-",
)  # fmt: skip


def finish(db: Database, folder: Path) -> None:
    """The study with light, hours, qualities, a flag and a camera of no site."""
    finish_study(db, folder)
    with db.write() as conn:
        videos = conn.execute(sa.select(s.video.c.video_id, s.video.c.recorded_at)).all()
        for n, (video_id, at) in enumerate(videos):
            numbers = dict.fromkeys(("contrast", "sharpness", "colourfulness"), 5.0)
            if n % 5:
                conn.execute(
                    sa.insert(s.video_signal).values(
                        video_id=video_id, pictures=3, infrared=(0.0, 0.1, 0.5, 0.9)[n % 4],
                        brightness=(40.0, 60.0, 90.0)[n % 3], background=bytes(2304), **numbers,
                    )
                )  # fmt: skip
            of_none = {"site": None} if n % 7 == 0 else {}
            conn.execute(
                sa.update(s.video)
                .where(s.video.c.video_id == video_id)
                .values(recorded_at=at.replace(hour=5 + n % 4), **of_none)
            )
        keys = conn.scalars(sa.select(s.track.c.track_id)).all()
        for n, key in enumerate(keys):
            quality = (0.0, 0.25, 0.5, 0.75)[n % 4]
            conn.execute(sa.update(s.track).where(s.track.c.track_id == key).values(quality=quality))
    live = [key for key in keys if key != min(keys)]
    shown = '{"mode": "card", "flag": true}'
    record_events(db, [event("identify", live[5], "FF", shown=shown), event("unknown", live[9], shown=shown)])


def words(query: str) -> list[tuple[str, str]]:
    return [(key, value) for key, _, value in (part.partition("=") for part in query.split("&")) if key]


def test_an_export_of_a_search_holds_what_was_found(db: Database, tmp_path: Path) -> None:
    finish(db, tmp_path)
    wrong, many = {}, set()
    with db.read() as conn:
        columns = read_columns(conn, 20, 0.0, stamp_of(conn))
        for query in SEARCHES:
            asked = parse(words(query))
            found = sorted(columns.ordered(asked, columns.matching(asked)).tolist())
            selection = selection_of_pairs(conn, conditions_of(asked))
            selected = sorted(row.track_id for row in conn.execute(selection.tracks()))
            assert t_sql.faults_of(t_sql.compiled(selection.tracks(among=[1, 2]))) == [], query
            many.add(len(found))
            if selected != found:
                wrong[query] = len(found), len(selected), selection.words
    assert wrong == {}
    assert len(many) > 15, "searches that find the same prove little"


def test_what_exports_cannot_say_is_refused() -> None:
    for query in ("who=A,B", "who=!A,B", "with=A,B", "cam=a,b/cam1", "by=model&status=unnamed"):
        with pytest.raises(SearchError) as refused:
            conditions_of(parse(words(query)))
        assert refused.value.remedy


def test_conditions_of_searches_are_refused_in_words(study: Database) -> None:
    with study.read() as conn:
        for given, sentence in (
            ("light=red", "no light 'red'"), ("sex=X", "no sex 'X'"), ("age_class=infnt", "Did you mean infant"),
            ("flag=no", "It takes yes"), ("p=2", "no range from 0 to 1"), ("hour=6.5", "whole hours"),
            ("video_id=٣", "no video number"), ("video_id=999999", "no video number"), ("not=FFI", "Did you mean F"),
            ("with=FFI", "no individual"), ("camera=–/cam9", "no camera"), ("source=persons", "Did you mean person"),
        ):  # fmt: skip
            with pytest.raises(ConditionError) as refused:
                selection_of(conn, [given])
            assert sentence in str(refused.value), given
        both = selection_of(conn, ["not=FF", "light=day,dim", "hour=6-9", "p=0.5-0.9", "flag=yes", "video_id=1"])
    assert both.words == (
        "Tracks not of FF, filmed in light that is day or dim, that a reviewer is asked to look at, named with a "
        "probability from 0.5 to 0.9, recorded in the hours from 6 to 9 UTC, of video 1, without those that people "
        "called no animal or a bad box; names of the model count from a probability of 0.9."
    )

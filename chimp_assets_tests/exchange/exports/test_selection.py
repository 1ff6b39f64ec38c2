"""What people write after --where selects what it says, on every database, and what names nothing is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.exchange.exports.conditions import CONDITIONS, ConditionError, selection_of
from chimp_assets.exchange.exports.footage import boxes, frames, videos
from chimp_assets.exchange.exports.selection import STATUSES, Selection
from chimp_assets_tests.database import t_sql
from chimp_assets_tests.exchange.exports.conftest import finish_study

Wanted = Callable[[Any], bool]


def everything(conn: sa.Connection) -> list[Any]:
    """v_track_identity with what is known of the video."""
    return list(
        conn.execute(
            sa.text(
                "SELECT i.*, v.site, v.camera, v.recorded_on, v.uri FROM v_track_identity AS i"
                " INNER JOIN video AS v ON v.video_id = i.video_id"
            )
        )
    )


def counts(row: Any, p: float = 0.9) -> bool:
    return row.status != "identified" or row.source == "person" or row.probability >= p


def status(row: Any, p: float = 0.9) -> str:
    return str(row.status) if counts(row, p) else "unlabelled"


def day(row: Any) -> str:
    return str(row.recorded_on)


ANIMAL = ("identified", "unknown", "cannot_tell", "unlabelled")
CASES: list[tuple[list[str], Wanted]] = [
    ([], lambda r: status(r) in ANIMAL),
    (["individual=FF,fred"], lambda r: r.anim_id in ("FF", "FI") and counts(r)),
    (["individual=FF", "min_probability=0.5"], lambda r: r.anim_id == "FF" and counts(r, 0.5)),
    (["individual=NEW-9", "min_probability=0"], lambda r: r.anim_id == "ZU"),
    (["individual=FF", "individual=FD"], lambda r: r.anim_id in ("FF", "FD") and counts(r)),
    (["individual=FF", "status=unknown"], lambda r: False),
    (["camera=a/cam1"], lambda r: status(r) in ANIMAL and (r.site, r.camera) == ("a", "cam1")),
    (["camera=CAM1,cam3"], lambda r: status(r) in ANIMAL and r.camera in ("cam1", "cam3")),
    (["site=b"], lambda r: status(r) in ANIMAL and r.site == "b"),
    (["from=2013-05-07", "to=2013-05-11"], lambda r: status(r) in ANIMAL and "2013-05-07" <= day(r) <= "2013-05-11"),
    (["source=person"], lambda r: r.source == "person" and r.status in ANIMAL),
    (["source=model", "min_probability=0.6"], lambda r: r.source == "model" and counts(r, 0.6)),
    (["source=any", "status=any"], lambda r: True),
    (["status=identified"], lambda r: r.status == "identified" and counts(r)),
    (["status=unlabelled"], lambda r: status(r) == "unlabelled"),
    (["status=unlabelled,identified"], lambda r: r.status in ("unlabelled", "identified")),
    (["status=not_animal,bad_box"], lambda r: r.status in ("not_animal", "bad_box")),
    (["status=identified,unknown", "min_probability=0"], lambda r: r.status in ("identified", "unknown")),
    (["video=cam1/"], lambda r: status(r) in ANIMAL and r.uri.startswith("cam1/")),
]


def faults(conn: sa.Connection, given: list[str], wanted: Wanted, rows: list[Any]) -> list[str]:
    """What is wrong with a selection, against the same conditions on rows in Python."""
    selection = selection_of(conn, given)
    found = conn.execute(selection.tracks()).all()
    of, p = {row.track_id: row for row in rows if wanted(row)}, selection.min_probability
    if not found and given != ["individual=FF", "status=unknown"]:
        return ["selects nothing, which proves little"]
    if sorted(row.track_id for row in found) != sorted(of):
        return [f"selects {len(found)} instead of {len(of)}"]
    names = [(row.status, row.anim_id, row.individual_id is None) for row in found]
    right = [
        (status(one, p), one.anim_id if counts(one, p) else None, not counts(one, p) or one.anim_id is None)
        for one in (of[row.track_id] for row in found)
    ]
    return [f"{given}: {a} instead of {b}" for a, b in zip(names, right, strict=True) if a != b]


def test_conditions_select_what_they_say(db: Database, tmp_path: Path) -> None:
    """On every database: one view, three dialects."""
    finish_study(db, tmp_path)
    with db.read() as conn:
        rows = everything(conn)
        assert {str(given): wrong for given, wanted in CASES if (wrong := faults(conn, given, wanted, rows))} == {}


def test_every_selection_is_t_sql_and_says_itself(study: Database) -> None:
    with study.read() as conn:
        uri = conn.scalar(sa.select(s.video.c.uri))
        everywhere = [*(given for given, _ in CASES), ["state=any"], ["state=junk"], [f"video={uri}"]]
        for given in everywhere:
            chosen = selection_of(conn, given)
            for statement in (chosen.tracks(), chosen.tracks(among=[1, 2])):
                assert t_sql.faults_of(t_sql.compiled(statement)) == [], given
            assert chosen.words.startswith("Tracks"), given
            assert chosen.given == tuple(given)
        words = selection_of(conn, ["individual=FF,fred", "camera=a/cam1", "to=2013-05-09"]).words
    assert words == (
        "Tracks of FF or FI, from the camera a/cam1, recorded on or before 2013-05-09; "
        "names of the model count from a probability of 0.9."
    )


def test_tracks_that_are_no_longer_asked_about_are_there_when_they_are_wanted(study: Database) -> None:
    with study.read() as conn:
        junk = conn.execute(selection_of(conn, ["state=junk"]).tracks()).all()
        live = conn.execute(selection_of(conn, ["status=any"]).tracks()).all()
        both = conn.execute(selection_of(conn, ["state=any", "status=any"]).tracks()).all()
    assert [row.anim_id for row in junk] == [None]
    assert len(both) == len(live) + 1


REFUSED = [
    ("camara=cam1", "no condition 'camara'. Did you mean camera"),
    ("cam1", "'cam1' is no condition"),
    ("individual=FFI", "no individual 'FFI'. Did you mean F"),
    ("individual=", "names nothing"),
    ("camera=a/cam9", "no camera 'a/cam9'. Did you mean a/cam"),
    ("camera=c/cam1", "no camera 'c/cam1'"),
    ("site=c", "no site 'c'"),
    ("video=cam1/nothing.mp4", "no video"),
    ("video=../etc/passwd", "no video"),
    ("video=cam9/", "no folder"),
    ("from=yesterday", "no day: 'yesterday'. Write it as 2013-05-01"),
    ("source=persons", "no source 'persons'. Did you mean person"),
    ("status=identifed", "Did you mean identified"),
    ("state=dead", "no state 'dead'"),
    ("min_probability=2", "no probability: '2'"),
    ("min_probability=nan", "no probability"),
]


def test_what_names_nothing_is_refused_with_the_nearest(study: Database) -> None:
    with study.read() as conn:
        for given, sentence in REFUSED:
            with pytest.raises(ConditionError) as refused:
                selection_of(conn, [given])
            assert sentence in str(refused.value)


def test_days_in_the_wrong_order_and_too_many_values_are_refused(study: Database) -> None:
    with study.read() as conn:
        with pytest.raises(ConditionError, match="end before they begin"):
            selection_of(conn, ["from=2013-05-02", "to=2013-05-01"])
        with pytest.raises(ConditionError, match="stands there 2 times"):
            selection_of(conn, ["from=2013-05-02", "from=2013-05-01"])
        with pytest.raises(ConditionError, match="at most 300"):
            selection_of(conn, ["status=" + ",".join(["unknown"] * 301)])


def test_a_file_of_a_burst_or_a_duplicate_means_the_row_with_its_frames(study: Database) -> None:
    with study.write() as conn:
        uris: dict[int, str] = dict(map(tuple, conn.execute(sa.select(s.video.c.video_id, s.video.c.uri))))
        gone = {"state": "retired"}
        conn.execute(sa.update(s.video).where(s.video.c.video_id == 2).values(burst_video_id=1, **gone))
        conn.execute(sa.update(s.video).where(s.video.c.video_id == 3).values(duplicate_of_video_id=2, **gone))
    with study.read() as conn:
        for video_id in (1, 2, 3):
            assert selection_of(conn, [f"video={uris[video_id]}"]).videos == ((1, uris[1]),)


def test_footage_is_read_by_videos_with_their_boxes(study: Database) -> None:
    with study.read() as conn:
        chosen = selection_of(conn, ["status=any"])
        tracks = {row.track_id for row in conn.execute(chosen.tracks())}
        found = list(videos(conn, chosen))
        assert {track.track_id for video in found for track in video.tracks} == tracks
        assert [video.video_id for video in found] == sorted({video.video_id for video in found})
        n = conn.scalar(sa.select(sa.func.count()).select_from(s.detection).where(s.detection.c.track_id.in_(tracks)))
        assert sum(len(boxes(conn, video)) for video in found) == n
        assert all(frame.uri is None for frame in frames(conn, found[0]))
        assert len(frames(conn, found[0])) == found[0].n_frames
        some = list(videos(conn, selection_of(conn, ["individual=FF", "camera=a/cam1"]), without_tracks=True))
    assert {(video.site, video.camera) for video in some} == {("a", "cam1")}
    assert any(not video.tracks for video in some)


def test_every_condition_is_told_and_every_status_is_one_of_the_view() -> None:
    assert set(STATUSES) == {"identified", "unknown", "cannot_tell", "unlabelled", "not_animal", "bad_box"}
    assert all(CONDITIONS.values())
    assert Selection(since=date(2013, 5, 1)).words.startswith("Tracks recorded on or after 2013-05-01")


def test_a_selection_by_place_and_day_reaches_an_index(study: Database) -> None:
    """Reading everything for one camera: minutes on a large archive."""
    with study.read() as conn:
        for given in (["camera=a/cam1", "from=2013-05-07", "individual=FF"], ["individual=FF"]):
            statement = selection_of(conn, given).tracks(among=[1, 2])
            text = statement.compile(conn, compile_kwargs={"literal_binds": True})
            plan = [row[3] for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]
            assert not [line for line in plan if line.startswith("SCAN track") or line.startswith("SCAN detection")], (
                plan
            )

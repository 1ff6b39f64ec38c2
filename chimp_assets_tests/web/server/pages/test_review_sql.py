"""Every statement behind review, own answers, models, data and users, on each database."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.home import Home
from chimp_assets.insight import archive, models
from chimp_assets.insight.labelling import own, people
from chimp_assets.insight.labelling.review import queues
from chimp_assets.settings import Settings, load_settings
from chimp_assets_tests.database import t_sql
from chimp_assets_tests.database.world import HEAD, START, add_video, make_world
from chimp_assets_tests.web.disputed import make_disputed

QUEUES_OF_EVENTS = ("names", "doubtful", "flags", "conflicts", "asked")


def fill(db: Database) -> None:
    """Something in each queue, and a model that was measured."""
    with db.write() as conn:
        for video_id in range(3, 11):
            add_video(conn, video_id, 2, 10)
        row = {"model_id": HEAD, "dataset": "audit", "watermark_seq": 1, "name": "top1", "value": 0.5, "n": 4}
        for kind in ("all", "sex"):
            conn.execute(sa.insert(s.evaluation_metric).values(**row, slice_kind=kind, created_at=START))
    make_disputed(db)


def ask_everything(db: Database, settings: Settings) -> dict[str, int]:
    """Every question of the pages with every condition that it can have; cases by queue."""
    with db.read() as conn:
        found = queues.counts(conn, settings)
        for queue in QUEUES_OF_EVENTS:
            queues.find_cases(conn, queue, settings, before=2**53)
        assert queues.find_cases(conn, "provisional", settings).cases[0].individual == ("NEW-1", "Newcomer", 1)
        vera = conn.scalar(sa.select(s.app_user.c.user_id).where(s.app_user.c.name == "vera")) or 0
        answers = own.page(conn, vera, before=2**53).answers
        assert len(own.page(conn, vera).corrected) == 2
        assert set(queues.authors(conn, [one.annotation_id for one in answers]).values()) == {"vera"}
        assert models.model_summaries(conn)
        assert models.measurement(conn, HEAD) is not None
        models.decisions(conn)
        models.names_of(conn, ["FF"])
        day = date(2013, 5, 6)
        asked = archive.VideoFilter("tracked", ("a", "cam1"), day, day, "cam")
        assert [video.video_id for video in archive.videos(conn, asked, before=100)] == [1]
        archive.videos(conn, archive.VideoFilter(archive.LOST, ("", "")))
        assert archive.cameras(conn) == [("a", "cam0"), ("a", "cam1")]
        archive.progress(conn, 1)
        assert archive.storage_use(conn).total
        assert len(people.members(conn, datetime.now(UTC))) >= 5
        assert people.answering_summary(conn).alike["vera"].n == 2
        people.audit_log(conn, before=2**53, action="user.add")
        people.actions(conn)
    return found


EXPECTED = {queue: 2 if queue == "missed" else 1 for queue in queues.QUEUES}


def test_the_screens_speak_t_sql(peopled_home: Home) -> None:
    """A page that fails on one of three databases."""
    fill(peopled_home.database)
    heard: list[tuple[Any, list[str] | None]] = []

    def listen(conn: Any, element: Any, several: Any, parameters: Any, options: Any) -> None:
        heard.append((element, sorted(several[0]) if several else sorted(parameters) or None))

    sa.event.listen(sa.Engine, "before_execute", listen)
    try:
        assert ask_everything(peopled_home.database, peopled_home.settings) == EXPECTED
    finally:
        sa.event.remove(sa.Engine, "before_execute", listen)
    said = [(element, names) for element, names in heard if not isinstance(element, str)]
    assert [found for element, names in said if (found := t_sql.faults_of(t_sql.compiled(element, names)))] == []
    assert len({str(element) for element, _ in said}) > 30


def test_the_screens_on_postgresql(postgresql: Any, tmp_path: Path) -> None:
    """What the parser takes, a server may still refuse."""
    db = postgresql.create_migrated()
    try:
        make_world(db)
        fill(db)
        assert ask_everything(db, load_settings(tmp_path)) == EXPECTED
    finally:
        db.dispose()

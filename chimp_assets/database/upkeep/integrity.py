"""The whole database looked over: what its constraints, its counts and its ledgers must agree on.

Belongs here: which questions are asked of everything, in which order, and how their answers read. Does not belong here:
the questions of one bundle or model (`invariants`). Memory is a bundle's sums or SAMPLE rows, however large the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.connection import bulk_sql_server
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.upkeep import invariants
from chimp_assets.database.upkeep.migrations import require_head

Progress = Callable[[str, int, int], None]


def check_database(db: Database, progress: Progress | None = None) -> Iterator[str]:
    """Sentences about what is ill, as they are found; none for a healthy database. Only reads, beside other work.

    Each kind of illness names invariants.SAMPLE rows at most. progress: called with a step, how much of it is done and
    of how much. Raises DatabaseError unless the schema is this version's.
    """
    tell = progress or (lambda what, done, total: None)
    require_head(db)
    yield from _file(db, tell)
    yield from _bundles(db, tell)
    yield from _models(db, tell)
    questions = (_numbers, _answers, _successions, _reasons, _queue, _ledger, _merges, _staging)
    for number, question in enumerate(questions):
        tell("check ledgers", number, len(questions))
        yield from question(db)
    tell("check ledgers", len(questions), len(questions))


def _file(db: Database, tell: Progress) -> Iterator[str]:
    """SQLite only: pages, indexes, CHECK and NOT NULL rules, then the foreign keys of each table. Servers enforce both
    at every write, and have their own tools for damaged disks."""
    if db.dialect != "sqlite":
        return
    tell("check file", 0, 1)
    with db.read() as conn:
        for (words,) in conn.exec_driver_sql(f"PRAGMA integrity_check({invariants.SAMPLE})"):
            if words != "ok":
                yield f"The file {db.file} is damaged: {words}."
    tell("check file", 1, 1)
    tables = t.metadata.sorted_tables
    for number, table in enumerate(tables):
        tell("check keys", number, len(tables))
        with db.read() as conn:
            keys = sa.func.pragma_foreign_key_list(table.name).table_valued("id", "from").c
            columns = {key_id: column for key_id, column in conn.execute(sa.select(keys.id, keys["from"]))}
            broken = sa.func.pragma_foreign_key_check(table.name).table_valued("rowid", "parent", "fkid").c
            sample = sa.select(broken.rowid, broken.parent, broken.fkid).limit(invariants.SAMPLE)
            rows = conn.execute(sample).all()
        for row_id, parent, key_id in rows:
            which = "" if row_id is None else f" number {row_id}"
            yield f"A row{which} of {table.name} names a {columns[key_id]} that is not in {parent}."
    tell("check keys", len(tables), len(tables))


def _bundles(db: Database, tell: Progress) -> Iterator[str]:
    """Counts, a bundle at a time."""
    bundle = t.bundle.c
    with db.read() as conn:
        total = int(conn.execute(sa.select(sa.func.count()).select_from(t.bundle)).scalar_one())
    last, done = 0, 0
    while True:
        tell("check counts", done, total)
        with db.read() as conn:
            row = conn.execute(
                sa.select(bundle.bundle_id, bundle.bundle_key)
                .where(bundle.bundle_id > last)
                .order_by(bundle.bundle_id)
                .limit(1)
            ).first()
            if row is None:
                return
            last, done = row.bundle_id, done + 1
            frames = invariants.videos_whose_frames_do_not_count(conn, row.bundle_key)
            outside = invariants.frames_outside_their_shard(conn, row.bundle_key)
            boxes = invariants.tracks_whose_detections_do_not_count(conn, row.bundle_key)
        for video_id, said, there in frames:
            yield f"Video {video_id} should have {said:,} frames and has {there:,}."
        for video_id, frame_no in outside:
            yield f"The picture of frame {frame_no} of video {video_id} lies outside its shard."
        for track_id, said, there in boxes:
            yield f"Track {track_id} should have {said:,} detections and has {there:,}."


def _models(db: Database, tell: Progress) -> Iterator[str]:
    """Probabilities, a head at a time."""
    with db.read() as conn:
        heads = list(conn.scalars(sa.select(t.model.c.model_id).where(t.model.c.task == "head")))
    for number, model_id in enumerate(heads):
        tell("check predictions", number, len(heads))
        with db.read() as conn:
            wrong = invariants.predictions_that_do_not_add_up(conn, model_id)
        for track_id, total in wrong:
            yield f"The probabilities of track {track_id} by model {model_id} add up to {total:.3f}."


def _numbers(db: Database) -> Iterator[str]:
    with db.read() as conn:
        largest, rows = invariants.gap_in_annotation_numbers(conn)
        counted = conn.scalar(sa.select(t.counter.c.value).where(t.counter.c.name == "annotation"))
    if largest != rows:
        yield f"The newest decision has number {largest:,}, but there are {rows:,} decisions."
    if counted != largest:
        yield f"The newest decision has number {largest:,}, but the counter stands at {counted}."


def _answers(db: Database) -> Iterator[str]:
    with db.read() as conn:
        wrong = invariants.answers_that_do_not_stand(conn)
        unlike = invariants.evidence_that_does_not_follow(conn)
    for track_id in wrong:
        yield f"Another answer about track {track_id} counts than the one that follows from all decisions."
    for track_id in unlike:
        yield f"What is kept of who track {track_id} is not, or is, does not follow from all decisions."


def _successions(db: Database) -> Iterator[str]:
    with db.read() as conn:
        wrong = invariants.tracks_that_are_there_and_gone(conn)
    for track_id in wrong:
        yield f"Track {track_id} is there though another took its place, or is gone though none did."


def _reasons(db: Database) -> Iterator[str]:
    with db.read() as conn:
        unasked = invariants.decisions_that_no_item_asked(conn)
        timeless = invariants.decisions_of_no_clock(conn)
    for seq, lane in unasked:
        yield (
            f"Decision {seq:,} claims the lane {lane} or a chance that no item of the queue gave it: take it back on "
            "the page, or import the file that it came from again."
        )
    for seq, column in timeless:
        yield f"The {column} of decision {seq:,} cannot be: it was not taken from a clock."


def _queue(db: Database) -> Iterator[str]:
    with db.read() as conn:
        waiting = invariants.items_that_should_not_wait(conn)
    for item_id in waiting:
        yield f"Item {item_id} of the queue waits for a track that is answered or gone."


def _ledger(db: Database) -> Iterator[str]:
    """A job writes its chunks in order: a number left out is a chunk lost."""
    c = t.bulk_chunk.c
    n, last = sa.func.count(), sa.func.max(c.chunk_no)
    jobs = sa.select(c.run_key, n.label("n"), last.label("last")).group_by(c.run_key).having(n <= last)
    with db.read() as conn:
        for row in conn.execute(jobs.order_by(c.run_key).limit(invariants.SAMPLE)):
            yield f"The job {row.run_key!r} wrote chunk {row.last}, but only {row.n:,} of the chunks from 0 to it."


def _merges(db: Database) -> Iterator[str]:
    one, other = t.individual, t.individual.alias()
    chains = (
        sa.select(one.c.anim_id, other.c.anim_id.label("into"))
        .join(other, other.c.individual_id == one.c.same_as_id)
        .where(other.c.same_as_id.is_not(None))
        .order_by(one.c.anim_id)
        .limit(invariants.SAMPLE)
    )
    with db.read() as conn:
        for row in conn.execute(chains):
            yield f"The individual {row.anim_id} was merged into {row.into}, who was merged into another in turn."


def _staging(db: Database) -> Iterator[str]:
    if db.dialect != "mssql":
        return
    with db.read() as conn:
        names = sa.inspect(conn).get_table_names()
    for name in names:
        if name.startswith(bulk_sql_server.STAGING_PREFIX):
            yield f"The table {name} was left by a bulk write that was killed: drop it when none is at work."

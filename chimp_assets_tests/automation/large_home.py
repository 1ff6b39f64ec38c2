"""A home of decades in a few seconds: 10,000 bundles and 1,000,000 videos as rows, all at rest. No test belongs here.

SQLite only: it makes the rows itself, because Python would need a minute to hand them over.
"""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.home import Home

THEN = datetime(2026, 1, 1, tzinfo=UTC)
BUNDLES = 10_000
VIDEOS_EACH = 100
EMBEDDER, HEAD = 1, 2


def fill(
    home: Home, archive: Path, bundles: int = BUNDLES, videos_each: int = VIDEOS_EACH, files: int = 12_000
) -> None:
    """Rows of an archive that has been ingested, embedded, scored and planned; nothing is due.

    The first `files` videos also lie in the folder `archive`, empty and as their rows say, so that a listing of them
    finds nothing new.
    """
    later = THEN + timedelta(hours=1)
    with home.database.write() as conn:
        for model_id, task, parent in ((EMBEDDER, "embedder", None), (HEAD, "head", EMBEDDER)):
            conn.execute(
                sa.insert(t.model).values(
                    model_id=model_id, task=task, version=1, name=task, state="champion", config="{}",
                    parent_id=parent, created_at=THEN,
                )
            )  # fmt: skip
        b = _numbers(bundles)
        _insert(
            conn, t.bundle, b,
            bundle_id=b.c.n + 1, bundle_key=sa.func.printf("site_cam%05d-0001", b.c.n), attempts=0, created_at=THEN,
            folder=sa.func.printf("site/cam%05d", b.c.n), changed_at=THEN,
        )  # fmt: skip
        v = _numbers(bundles * videos_each)
        bundle, place = v.c.n / videos_each, v.c.n % videos_each
        _insert(
            conn, t.video, v,
            video_id=v.c.n + 1, bundle_id=sa.cast(bundle, sa.Integer) + 1, version=1, bytes=0, etag="e", n_frames=300,
            uri=sa.func.printf("site/cam%05d/%04d.mp4", bundle, place), duration_s=60.0, decode_s=2.0,
            # One in a hundred failed, as in a real archive.
            state=sa.case((place == 7, "failed"), else_="tracked"), discovered_at=THEN, updated_at=THEN,
        )  # fmt: skip
        conn.execute(
            sa.insert(t.split_assignment).values(
                video_id=bundles * videos_each, day_key="day", split="train", assigned_at=THEN
            )
        )
        _insert(
            conn, t.embedding_file, b,
            model_id=EMBEDDER, bundle_id=b.c.n + 1, uri="e", content_hash="0" * 64, n_tracks=500, created_at=later,
        )  # fmt: skip
        _insert(conn, t.bundle_score, b, model_id=HEAD, bundle_id=b.c.n + 1, n_tracks=500, created_at=later)
        conn.execute(
            sa.insert(t.acquisition_round).values(
                policy="{}", seed=1, embedder_model_id=EMBEDDER, head_model_id=HEAD, watermark_seq=0, n_pool=1,
                created_at=later + timedelta(hours=1),
            )
        )  # fmt: skip
    _lay_out(home, archive, files, videos_each)


def _numbers(n: int) -> sa.CTE:
    numbers = sa.select(sa.literal(0).label("n")).cte("numbers", recursive=True)
    return numbers.union_all(sa.select(numbers.c.n + 1).where(numbers.c.n < n - 1))


def _insert(conn: sa.Connection, table: sa.Table, numbers: sa.CTE, **columns: object) -> None:
    values = [
        value if isinstance(value, sa.ColumnElement) else sa.literal(value, table.c[name].type)
        for name, value in columns.items()
    ]
    conn.execute(sa.insert(table).from_select(list(columns), sa.select(*values).select_from(numbers)))


def _lay_out(home: Home, archive: Path, files: int, videos_each: int) -> None:
    moment = 1_577_836_800
    for number in range(files):
        path = archive / f"site/cam{number // videos_each:05d}/{number % videos_each:04d}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (moment, moment))
    with home.database.write() as conn:
        etag = next(home.archive.list("")).etag
        conn.execute(sa.update(t.video).where(t.video.c.video_id <= files).values(etag=etag))


def bundle_keys(bundles: int = BUNDLES) -> list[str]:
    """The keys of the bundles, as Dagster must know them."""
    return [f"site_cam{b:05d}-0001" for b in range(bundles)]

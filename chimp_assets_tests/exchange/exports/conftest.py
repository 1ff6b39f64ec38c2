"""A study to hand on: videos with sizes, tracks with names by people and by a model, cameras with coordinates."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.settings import Settings
from chimp_assets_tests.database.study_database import make_study, write_study

EXACT = (-4.123456, 29.654321)
"""Where the first camera stands: no file may say so unless somebody asks."""
PROJECT = {
    "title": "Chimpanzees of a forest", "description": "Cameras at nuts.", "species": "Pan troglodytes",
    "vernacular": "chimpanzee", "sampling_design": "opportunistic",
    "contributors": ("Jane Doe <jane@example.org> (contact)", "Institute of Forests (rightsHolder)"),
    "data_licence": "CC-BY-4.0", "media_licence": "CC-BY-NC-4.0", "citation": "Doe et al. 2026",
}  # fmt: skip


def finish_study(db: Database, folder: Path) -> None:
    """The study, with what exports need besides: sizes of pictures, coordinates, a track that nobody is asked about."""
    write_study(db, make_study(3), folder)
    with db.write() as conn:
        conn.execute(sa.update(s.video).values(width=1280, height=720, content_hash="0" * 64))
        conn.execute(
            sa.update(s.deployment)
            .where(s.deployment.c.site == "a")
            .values(latitude=EXACT[0], longitude=EXACT[1], note=f"by the stream, {EXACT[0]} {EXACT[1]}")
        )
        first = conn.scalar(sa.select(sa.func.min(s.track.c.track_id)))
        conn.execute(sa.update(s.track).where(s.track.c.track_id == first).values(state="junk"))


@pytest.fixture(scope="session")
def study_file(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> Path:
    """Made once, to be copied."""
    folder = tmp_path_factory.mktemp("study")
    db = Database(f"sqlite:///{shutil.copy(migrated_sqlite, folder / 'chimp.db')}")
    finish_study(db, folder)
    with db.engine.connect() as conn:
        conn.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    db.dispose()
    return folder / "chimp.db"


@pytest.fixture
def study(tmp_path: Path, study_file: Path) -> Iterator[Database]:
    """The study, a copy of this test's own, on SQLite."""
    db = Database(f"sqlite:///{shutil.copy(study_file, tmp_path / 'study.db')}")
    yield db
    db.dispose()


@pytest.fixture
def settings() -> Settings:
    """Settings that say everything of the project."""
    return Settings(project=PROJECT)

"""Writes sql/sqlite/planner_statistics.csv from a generated archive: `python -m benchmarks.support.planner_statistics`.

Its argument is the number of frames, 10M unless it is given.

Belongs here: what ANALYZE of SQLite finds in such an archive, and where a generated archive is unlike a real one.
Does not belong here: giving the file to a database (`chimp_assets.database.upkeep.migrations`).
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from benchmarks.support.archives import archive
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.schema import metadata

FILE = Path(__file__).resolve().parents[2] / "sql" / "sqlite" / "planner_statistics.csv"
# rows, then rows for each value of the first column, of the first two, and so on. In a generated archive nothing was
# taken back or merged, one head scored everything, one plan was made and every video is tracked: ANALYZE would have
# SQLite believe that such columns tell nothing apart, and read whole tables.
UNLIKE = {
    "acquisition_queue.ix_acquisition_queue_state": "2000 500 100 1 1",
    "acquisition_queue.ix_acquisition_queue_other": "2000 5 4",
    "acquisition_queue.uq_acquisition_queue_round_pair": "300 15 1 1",
    "acquisition_queue.uq_acquisition_queue_round_track": "2000 100 1",
    "annotation.ix_annotation_annotator": "4000 800 1",
    "annotation.ix_annotation_individual": "4000 14 1",
    "annotation.ix_annotation_other": "400 1",
    "annotation.ix_annotation_repeat": "120 1",
    "annotation.ix_annotation_supersedes": "4000 1",
    "app_user.sqlite_autoindex_app_user_1": "5 1",
    "deployment.ix_deployment_camera": "120 2 1",
    "individual.ix_individual_same_as_id": "300 2",
    "individual_alias.ix_individual_alias_individual_id": "100 1",
    "model.ix_model_task_state": "9 3 1",
    "model.sqlite_autoindex_model_1": "9 3 1",
    "model.uq_model_champion": "3 1",
}
# Found by ANALYZE but of no use to a plan.
_LEFT_OUT = {"alembic_version", "audit_event", "bulk_chunk"}


def statistics(db: Database) -> list[tuple[str, str, str]]:
    """(table, index, statistics) as ANALYZE finds them, and what is unlike. The database stays as it is."""
    found = dict(UNLIKE)
    with db.engine.connect().execution_options(chimp_writes=True) as conn, conn.begin() as transaction:
        conn.exec_driver_sql("PRAGMA analysis_limit=0")
        conn.exec_driver_sql("ANALYZE")
        for table, index, stat in conn.exec_driver_sql("SELECT tbl, idx, stat FROM sqlite_stat1"):
            if index is not None and table in metadata.tables and table not in _LEFT_OUT:
                found.setdefault(f"{table}.{index}", stat)
        transaction.rollback()
    n_videos = found["video.ix_video_recorded_at"].split()[0]
    found["video.ix_video_state_bundle"] = f"{n_videos} {int(n_videos) // 5} 100"
    return [(*name.split(".", 1), stat) for name, stat in sorted(found.items())]  # type: ignore[misc]


def main(name: str = "10M") -> int:
    """Write the file."""
    rows = statistics(archive(name))
    with FILE.open("w", encoding="utf-8", newline="") as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["table", "index", "statistics"])
        writer.writerows(rows)
    print(f"{len(rows)} indexes in {FILE}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

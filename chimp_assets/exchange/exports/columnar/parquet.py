"""A folder of Parquet tables, partitioned by year or by site and year, for DuckDB, pandas, Polars and Arrow in R.

Belongs here: the tables as files. Does not belong here: what a column means (`columns`).

Folders are those of Hive: `boxes/year=2013/part-0.parquet`. A year that is not known is 0 and a site `_`, for Arrow
cannot tell the type of a column that is null in every folder. Moments are UTC and say so in their type.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.exchange.exports.columnar.columns import PARTITIONED, TABLES, TableColumn
from chimp_assets.exchange.exports.export import Export, ExportOption, ExportRequest
from chimp_assets.exchange.exports.footage import HandedTrack, HandedVideo, boxes, frames
from chimp_assets.exchange.exports.pieces.animals import animals, individuals_in
from chimp_assets.exchange.exports.pieces.times import at
from chimp_assets.exchange.exports.social.groups import sightings

NO_YEAR, NO_SITE = 0, "_"
ROWS_HELD = 8_192
"""Rows as Python values, before they are columns."""
ROWS_OF_A_GROUP = 131_072
"""Of a row group: what a reader holds at once, and what it may leave out by its statistics."""
_OF_A_BOX = ("frame_no", "track_id", "x", "y", "w", "h", "score")
PARTITIONS = ("year", "site_year")
_README = """\
# Parquet tables

| table | one row is |
|---|---|
| `boxes` | a box of a track in a kept frame |
| `sightings` | an individual in a video |
| `videos` | a video with such tracks |
| `individuals` | an individual |

Moments are UTC; `recorded_on` and `year` are of the calendar where the cameras are (year 0, site `_`: not known). Boxes
are fractions of the picture.

```python
import pyarrow.dataset as ds
boxes = ds.dataset("boxes", format="parquet", partitioning="hive")
boxes.to_table(filter=ds.field("year") == 2013).to_pandas()
```

```sql
-- DuckDB
SELECT individual, COUNT(*) FROM read_parquet('boxes/**/*.parquet', hive_partitioning = true)
WHERE year = 2013 GROUP BY individual;
```

```r
library(arrow); library(dplyr)
open_dataset("sightings") |> filter(year == 2013) |> count(individual) |> collect()
```
"""


def _write(request: ExportRequest, folder: Path) -> int:
    n = write_tables(request, folder)
    (folder / "README.md").write_text(_README, encoding="utf-8")
    return n


def write_tables(request: ExportRequest, folder: Path) -> int:
    """The tables, each in a folder of its own; returns the number of their rows."""
    by_site = request.options["partition"] == "site_year"
    request.tell(times="UTC, said by the type", boxes="fractions of the displayed picture")
    tables = {name: PartitionedTable(folder / name, name, by_site) for name in PARTITIONED}
    try:
        with request.read() as conn:
            for film, tracks in animals(conn, request.selection, "site" if by_site else "day"):
                place = (film.site, film.recorded_on.year if film.recorded_on else None)
                tables["videos"].add(place, [_video_row(film)])
                tables["sightings"].add(place, _sighting_rows(film, tracks))
                tables["boxes"].add_batch(place, _boxes(conn, film, tracks, tables["boxes"].columns))
            individuals = PartitionedTable(folder / "individuals", "individuals", by_site)
            tables["individuals"] = individuals
            individuals.add(None, _individual_rows(conn, request))
    finally:
        for table in tables.values():
            table.close()
    request.count(**{name: table.n for name, table in tables.items()})
    return sum(table.n for table in tables.values())


def schema_of(name: str, by_site: bool) -> Any:
    """The Arrow schema of a table's files: without the columns that its folders say."""
    import pyarrow as pa

    types = {
        "key": pa.int64(), "count": pa.int32(), "real": pa.float64(), "share": pa.float32(), "text": pa.string(),
        "word": pa.string(), "moment": pa.timestamp("ms", tz="UTC"), "day": pa.date32(),
    }  # fmt: skip
    return pa.schema(
        [pa.field(one.name, types[one.kind], metadata={"description": one.what}) for one in columns_of(name, by_site)]
    )


def columns_of(name: str, by_site: bool) -> tuple[TableColumn, ...]:
    """The columns in a table's files. A column that a folder says does not stand in its files: readers refuse two."""
    in_folder = by_site and name in PARTITIONED
    return tuple(one for one in TABLES[name] if not (in_folder and one.name == "site"))


class PartitionedTable:
    """One table, written partition after partition. Holds ROWS_HELD rows and one row group; one file is open."""

    def __init__(self, folder: Path, name: str, by_site: bool) -> None:
        self.n = 0
        self._folder, self._by_site, self._partitioned = folder, by_site, name in PARTITIONED
        self._schema = schema_of(name, by_site)
        self.columns = {field.name: field.type for field in self._schema}
        self._keep = [i for i, one in enumerate(TABLES[name]) if one in columns_of(name, by_site)]
        self._place: tuple[str | None, int | None] | None = None
        self._rows: list[Sequence[Any]] = []
        self._batches: list[Any] = []
        self._held = 0
        self._writer: Any = None

    def add(self, place: tuple[str | None, int | None] | None, rows: Iterable[Sequence[Any]]) -> None:
        """Adds rows of a partition. Partitions come one after the other."""
        self._go_to(place)
        for row in rows:
            self._rows.append(row)
            self.n += 1
            if len(self._rows) >= ROWS_HELD:
                self._to_columns()

    def add_batch(self, place: tuple[str | None, int | None] | None, columns: dict[str, Any]) -> None:
        """Adds rows of a partition as Arrow arrays by name, which is ten times as fast."""
        import pyarrow as pa

        self._go_to(place)
        batch = pa.RecordBatch.from_arrays([columns[name] for name in self._schema.names], schema=self._schema)
        self.n += batch.num_rows
        self._hold(batch)

    def _go_to(self, place: tuple[str | None, int | None] | None) -> None:
        if self._partitioned and place is not None:
            place = (place[0] if self._by_site else None), place[1]
        if self._writer is None or place != self._place:
            self._finish()
            self._place = place
            self._open()

    def close(self) -> None:
        """Finishes the last file. A table without a row has one file without a row, so that its columns are known."""
        if self._writer is None:
            self._place = (None, None) if self._partitioned else None
            self._open()
        self._finish()

    def _open(self) -> None:
        import pyarrow.parquet as pq

        folder = self._folder
        if self._partitioned and self._place is not None:
            site, year = self._place
            if self._by_site:
                folder /= f"site={NO_SITE if site is None else quote(site, safe=' ')}"
            folder /= f"year={NO_YEAR if year is None else year}"
        folder.mkdir(parents=True, exist_ok=True)
        number = len(list(folder.iterdir()))  # a site may be spelt in two ways that a database sorts as one
        self._writer = pq.ParquetWriter(folder / f"part-{number}.parquet", self._schema, compression="zstd")

    def _finish(self) -> None:
        if self._writer is None:
            return
        self._to_columns()
        self._write_group()
        self._writer.close()
        self._writer = None

    def _to_columns(self) -> None:
        if not self._rows:
            return
        import pyarrow as pa

        columns = list(zip(*self._rows, strict=True))
        arrays = [pa.array(columns[i], type=field.type) for i, field in zip(self._keep, self._schema, strict=True)]
        self._rows = []
        self._hold(pa.RecordBatch.from_arrays(arrays, schema=self._schema))

    def _hold(self, batch: Any) -> None:
        self._batches.append(batch)
        self._held += batch.num_rows
        if self._held >= ROWS_OF_A_GROUP:
            self._write_group()

    def _write_group(self) -> None:
        import pyarrow as pa

        if self._batches:
            table = pa.Table.from_batches(self._batches).combine_chunks()
            self._writer.write_table(table, row_group_size=max(1, table.num_rows))
            self._batches, self._held = [], 0


def _video_row(film: HandedVideo) -> list[Any]:
    return [
        film.video_id, film.uri, film.site, film.camera, film.recorded_on, film.recorded_at, film.duration_s,
        film.frame_s, film.width or None, film.height or None,
    ]  # fmt: skip


def _sighting_rows(film: HandedVideo, tracks: list[HandedTrack]) -> list[list[Any]]:
    return [
        [
            film.video_id, one.individual_id, one.anim_id, film.site, film.camera, film.recorded_on,
            at(film.recorded_at, one.first_s), at(film.recorded_at, one.last_s), one.first_s, one.last_s, one.seconds,
            len(one.tracks), one.n_frames, one.probability, one.human_reviewed,
        ]
        for one in sightings(film, tracks)
    ]  # fmt: skip


def _boxes(conn: sa.Connection, film: HandedVideo, tracks: list[HandedTrack], types: dict[str, Any]) -> dict[str, Any]:
    """The boxes of a video as Arrow arrays of these types: column by column, since there are millions."""
    import pyarrow as pa

    place_of_track = {one.track_id: n for n, one in enumerate(tracks)}
    times = {one.frame_no: one.time_s for one in frames(conn, film)}
    found = [one for one in boxes(conn, film) if one.track_id in place_of_track]
    n = len(found)
    seconds = [times[one.frame_no] for one in found]
    moments = {one: at(film.recorded_at, one) for one in set(seconds)}
    which = pa.array([place_of_track[one.track_id] for one in found], pa.int32())
    of_video = {
        "video_id": film.video_id, "site": film.site, "camera": film.camera, "recorded_on": film.recorded_on,
    }  # fmt: skip
    of_track = {
        "individual_id": [one.individual_id for one in tracks], "individual": [one.anim_id for one in tracks],
        "status": [one.status for one in tracks], "source": [one.source for one in tracks],
        "probability": [one.probability for one in tracks],
    }  # fmt: skip
    of_box = {
        "time_s": seconds, "moment": [moments[one] for one in seconds],
        **{name: [getattr(one, name) for one in found] for name in _OF_A_BOX},
    }  # fmt: skip
    arrays = {name: pa.repeat(pa.scalar(value, types[name]), n) for name, value in of_video.items() if name in types}
    arrays |= {name: pa.array(values, types[name]).take(which) for name, values in of_track.items()}
    return arrays | {name: pa.array(values, types[name]) for name, values in of_box.items()}


def _individual_rows(conn: sa.Connection, request: ExportRequest) -> list[list[Any]]:
    wanted = {individual_id for individual_id, _ in individuals_in(conn, request.selection)}
    view = sa.table("v_individual_day", *map(sa.column, ("individual_id", "anim_id", "mom_id", "dad_id")))
    lives = {row.individual_id: row for row in conn.execute(sa.select(*view.c))}
    i = t.individual.c
    rows = conn.execute(
        sa.select(i.individual_id, i.anim_id, i.name, i.sex, i.birth_date, i.entry_date, i.depart_date, i.depart_type)
        .where(i.same_as_id.is_(None))
        .order_by(i.anim_id)
    ).all()

    def code(individual_id: int | None) -> str | None:
        return lives[individual_id].anim_id if individual_id in lives else None

    return [
        [
            row.individual_id, row.anim_id, row.name, row.sex, row.birth_date, code(lives[row.individual_id].mom_id),
            code(lives[row.individual_id].dad_id), row.entry_date, row.depart_date, row.depart_type,
        ]
        for row in rows
        if row.individual_id in wanted
    ]  # fmt: skip


PARTITION = ExportOption("partition", "folders by year, or by site and year", "year", PARTITIONS)
EXPORT = Export(
    "Boxes, sightings, videos and individuals as Parquet tables in folders by year, for DuckDB, pandas, Polars and R.",
    "",
    _write,
    folder=True,
    options=(PARTITION,),
)

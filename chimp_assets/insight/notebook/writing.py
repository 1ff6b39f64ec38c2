"""Notebook and R script as files: where the own archive is written in, passwords never.

Belongs here: the two forms. Does not belong here: questions and code (`cells`), finding the home (`cli`).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from chimp_assets.errors import ChimpError
from chimp_assets.insight.notebook.cells import CELLS, OPEN

NOTEBOOK, SCRIPT = "archive.ipynb", "archive.R"


class NotebookError(ChimpError):
    """A notebook cannot be written where it was asked for."""


def notebook(title: str, home: Path) -> str:
    """The notebook as JSON (nbformat 4.5). home: the folder of the own archive; no other secret or address is in it."""
    first = OPEN.words.format(title=title), OPEN.code.format(home=str(home))
    cells: list[dict[str, Any]] = []
    for words, code in (first, *((one.words, one.code) for one in CELLS)):
        cells.append({"cell_type": "markdown", "id": _id("m", words), "metadata": {}, "source": _lines(words)})
        cells.append(
            {"cell_type": "code", "id": _id("c", code), "metadata": {}, "source": _lines(code), "outputs": [],
             "execution_count": None}
        )  # fmt: skip
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    written = {
        "cells": cells, "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}}, "nbformat": 4,
        "nbformat_minor": 5,
    }  # fmt: skip
    return json.dumps(written, indent=1, ensure_ascii=False) + "\n"


def r_script(title: str, database: str) -> str:
    """An R script of the first questions, over DBI. database: its address without a password; of SQLite the file is
    opened read-only, other databases take the password from the environment variable ARCHIVE_PASSWORD."""
    kind, _, rest = database.partition("://")
    if kind == "sqlite":
        opened = (
            f"library(RSQLite)\narchive <- dbConnect(SQLite(), {_r_text(rest.removeprefix('/'))}, flags = SQLITE_RO)"
        )
    elif kind.startswith("postgresql"):
        opened = (
            "library(RPostgres)\n"
            f"# The address is {rest}\n"
            "archive <- dbConnect(Postgres(), dbname = Sys.getenv('PGDATABASE'), host = Sys.getenv('PGHOST'),\n"
            "                     user = Sys.getenv('PGUSER'), password = Sys.getenv('ARCHIVE_PASSWORD'))"
        )
    else:
        opened = (
            "library(odbc)\n"
            f"# The address is {rest}\n"
            "archive <- dbConnect(odbc(), Driver = 'ODBC Driver 18 for SQL Server',\n"
            "                     Server = Sys.getenv('ARCHIVE_SERVER'),\n"
            "                     Database = Sys.getenv('ARCHIVE_DATABASE'), UID = Sys.getenv('ARCHIVE_USER'),\n"
            "                     PWD = Sys.getenv('ARCHIVE_PASSWORD'))"
        )
    return _SCRIPT.format(title=title.replace("\n", " "), opened=opened)


def write_new(file: Path, text: str, force: bool) -> None:
    """Writes a file that is not there yet; somebody may have worked in one that is. Raises NotebookError."""
    try:
        with file.open("w" if force else "x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise NotebookError(
            f"{file} is there already, and may hold your work.", "Name another file, or replace it with --force."
        ) from None
    except OSError as error:
        raise NotebookError(f"{file} cannot be written: {error.strerror}.", "Name another folder.") from None


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def _id(kind: str, text: str) -> str:
    return f"{kind}{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _r_text(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


_SCRIPT = """\
# {title}
# Written by `chimp notebook --r`. Needs DBI, and asnipe for the last lines: install.packages(c("DBI", "asnipe"))
library(DBI)
{opened}
ask <- function(sql) dbGetQuery(archive, sql)

# 1. Who was seen, on how many days?
seen <- ask("SELECT anim_id, COUNT(DISTINCT recorded_on) AS days FROM v_sighting WHERE counts = 1 GROUP BY anim_id")
barplot(seen$days, names.arg = seen$anim_id, las = 2, ylab = "days seen")

# 2. What was recorded?
effort <- ask("SELECT camera, SUM(recorded_s) / 3600 AS hours FROM v_effort GROUP BY camera")
barplot(effort$hours, names.arg = effort$camera, las = 2, ylab = "hours")

# 3. Who is with whom? Days together (x) of days on which one of the two was seen.
pairs <- ask("SELECT anim_id_a, anim_id_b, x, sri_denominator, sri FROM v_dyad
              WHERE group_rule = 'video' AND period_kind = 'all' AND x > 0")
head(pairs[order(-pairs$sri), ], 20)

# 4. The same with the errors of names taken out, once the nightly job has counted it.
corrected <- ask("SELECT * FROM v_association WHERE period_kind = 'all'")
head(corrected)

# 5. The network of asnipe, from groups by individuals.
gbi <- ask("SELECT group_id, anim_id FROM v_gbi WHERE group_rule = 'video'")
if (nrow(gbi) > 0 && requireNamespace("asnipe", quietly = TRUE)) {{
  matrix <- unclass(table(gbi$group_id, gbi$anim_id)) > 0
  network <- asnipe::get_network(matrix * 1, data_format = "GBI", association_index = "SRI")
  print(round(network[1:min(6, nrow(network)), 1:min(6, ncol(network))], 2))
}}

dbDisconnect(archive)
"""

"""A folder for asnipe and ANTs: groups by individuals, with times and places of the groups.

Belongs here: the files and how R reads them. Does not belong here: what a group is (`groups`).

`get_network(association_data, times, locations, enter_time, leave_time)` of asnipe 1.1 (Farine 2013) wants a matrix of
0 and 1 with a row for each group and a column for each individual, one time and one location for each row, and for each
column when the individual entered the population and left it. `get_group_by_individual` makes the matrix from two
columns, individual and group, which are the first two of memberships.csv; so does ANTs' `df.to.gbi`.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

from chimp_assets.database.csv_cells import GuardedWriter
from chimp_assets.exchange.exports.export import Export, ExportError, ExportOption, ExportRequest
from chimp_assets.exchange.exports.pieces.animals import individuals_in, place_of
from chimp_assets.exchange.exports.pieces.lives import StudyLife, lives_of
from chimp_assets.exchange.exports.pieces.times import day_of, in_utc, unix_s
from chimp_assets.exchange.exports.social.groups import GROUP_RULES, AnimalGroup, GroupRule, groups
from chimp_assets.exchange.exports.social.misnaming import README, write_misnaming
from chimp_assets.exchange.exports.social.pairs import unit_of

MOST_CELLS = 50_000_000
"""A wider matrix is left out: 100 MB as text, and gigabytes in R, which makes it from memberships.csv where it must."""
GROUP_COLUMNS = ("group_id", "day", "time", "location", "site", "camera", "starts", "ends", "n_known", "n_unknown")
MEMBER_COLUMNS = (
    "anim_id", "group_id", "day", "location", "enters", "leaves", "enter_s", "leave_s", "seconds", "probability",
    "human_reviewed",
)  # fmt: skip
INDIVIDUAL_COLUMNS = ("anim_id", "name", "sex", "enter_time", "leave_time", "enter_day", "leave_day")

_README = """\
# Groups by individuals

A group is everybody in one {rule}. Times are UTC; `time`, `enter_s`, `leave_s`, `enter_time` and `leave_time` are
seconds since 1970-01-01. `probability` is how sure the name is (1: a person said so): a network from a part of the
rows shows how much rests on unsure names. Individuals of which no date is known have no `enter_time` and `leave_time`.

```r
library(asnipe)
memberships <- read.csv("memberships.csv")
groups <- read.csv("groups.csv")
individuals <- read.csv("individuals.csv")
{matrix}
network <- get_network(gbi, data_format = "GBI", association_index = "SRI",
                       times = groups$time, locations = groups$location)

# Only while both were in the population:
early <- min(groups$time, na.rm = TRUE); late <- max(groups$time, na.rm = TRUE)
enter <- ifelse(is.na(individuals$enter_time), early, individuals$enter_time)
leave <- ifelse(is.na(individuals$leave_time), late, individuals$leave_time)
network <- get_network(gbi, association_index = "SRI", times = groups$time, enter_time = enter, leave_time = leave)

# ANTs: library(ANTs); df.to.gbi(memberships, scan = "group_id", id = "anim_id")
# Only sure names: memberships[memberships$probability >= 0.9, ]
# A weight instead of 0 and 1:
# gbi[cbind(as.character(memberships$group_id), memberships$anim_id)] <- memberships$probability
```

```python
import pandas as pd
memberships = pd.read_csv("memberships.csv")
gbi = memberships.assign(there=1).pivot(index="group_id", columns="anim_id", values="there").fillna(0)
sure = memberships.pivot(index="group_id", columns="anim_id", values="probability").fillna(0)
both = gbi.T @ gbi   # groups with both; sure.T @ sure: expected, both names right; for correct() below
```
"""
_WIDE = """\
gbi <- as.matrix(read.csv("gbi.csv", row.names = "group_id", check.names = FALSE))"""
_LONG = """\
# gbi.csv would have {cells} cells and was left out.
gbi <- get_group_by_individual(memberships[, c("anim_id", "group_id")], identities = individuals$anim_id,
                               data_format = "individuals")
gbi <- gbi[match(groups$group_id, rownames(gbi)), ]"""


def _write(request: ExportRequest, folder: Path) -> int:
    rule = cast("GroupRule", request.options["rule"])
    request.tell(together=rule, times="UTC; seconds since 1970-01-01 where a number is wanted")
    wide = folder / "gbi.csv"
    with request.read() as conn:
        names = [anim_id for _, anim_id in individuals_in(conn, request.selection)]
        lives = lives_of(conn)
        n_groups = n_members = 0
        with ExitStack() as files:
            matrix, rows, members = (
                GuardedWriter(files.enter_context(_text(folder / name)))
                for name in (wide.name, "groups.csv", "memberships.csv")
            )
            matrix.writerow(["group_id", *names])
            rows.writerow(GROUP_COLUMNS)
            members.writerow(MEMBER_COLUMNS)
            minutes = _minutes(request.options["minutes"]) if rule == "minutes" else 0
            for group in groups(conn, request.selection, rule, minutes, lambda n: request.count(videos_without_time=n)):
                n_groups += 1
                n_members += len(group.members)
                if n_groups * len(names) <= MOST_CELLS:
                    there = {one.anim_id for one in group.members}
                    matrix.writerow([group.group_id, *(int(name in there) for name in names)])
                rows.writerow(_group_row(group))
                for row in _member_rows(group):
                    members.writerow(row)
        write_misnaming(conn, request, folder, names)
    too_wide = n_groups * len(names) > MOST_CELLS
    if too_wide:
        wide.unlink()
    _write_individuals(folder / "individuals.csv", names, {one.anim_id: one for one in lives})
    how = _LONG.format(cells=n_groups * len(names)) if too_wide else _WIDE
    words = {"video": "video", "day": "place and day: filmed by one camera on one day", "frame": "frame",
             "minutes": f"place and window of {request.options['minutes']} minutes"}[rule]  # fmt: skip
    (folder / "README.md").write_text(_README.format(rule=words, matrix=how) + README, encoding="utf-8")
    request.count(groups=n_groups, memberships=n_members, individuals=len(names))
    return n_members


def _minutes(text: str) -> int:
    """Raises ExportError where it is not a number of minutes."""
    unit = unit_of(text, "minutes")
    if unit.kind != "minutes":
        raise ExportError(f"{text!r} is not a number of minutes.", "Write for example minutes=10.")
    return unit.minutes


def _text(file: Path) -> io.TextIOWrapper:
    return file.open("w", encoding="utf-8", newline="")


def _group_row(group: AnimalGroup) -> list[Any]:
    return [
        group.group_id, group.day, unix_s(group.starts), place_of(group.site, group.camera), group.site, group.camera,
        in_utc(group.starts), in_utc(group.ends), len(group.members), group.n_unknown,
    ]  # fmt: skip


def _member_rows(group: AnimalGroup) -> Iterator[list[Any]]:
    place = place_of(group.site, group.camera)
    for one in group.members:
        yield [
            one.anim_id, group.group_id, group.day, place, in_utc(one.enters), in_utc(one.leaves), unix_s(one.enters),
            unix_s(one.leaves), round(one.seconds, 3), round(one.probability, 6), one.human_reviewed,
        ]  # fmt: skip


def _write_individuals(file: Path, names: list[str], lives: dict[str, StudyLife]) -> None:
    with _text(file) as stream:
        writer = GuardedWriter(stream)
        writer.writerow(INDIVIDUAL_COLUMNS)
        for name in names:
            life = lives[name]
            enters, leaves = day_of(life.from_day_no), day_of(life.until_day_no)
            writer.writerow([name, life.name, life.sex, life.enter_s, life.leave_s, enters, leaves])


EXPORT = Export(
    "Groups by individuals with times, places and probabilities, for asnipe and ANTs in R.",
    "",
    _write,
    folder=True,
    options=(
        ExportOption("rule", "a group is everybody in one video, at one camera on one day or within some minutes of "
                     "the clock, or in one frame", "video", GROUP_RULES),
        ExportOption("minutes", "how many minutes, where the rule is minutes", "10"),
    ),
)  # fmt: skip

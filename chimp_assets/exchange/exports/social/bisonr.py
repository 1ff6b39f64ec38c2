"""A folder for bisonR: rows of two individuals, by day and summed up.

Belongs here: the files and how R reads them. Does not belong here: when two are together (`pairs`).

`bison_model((event | duration) ~ dyad(node_1_id, node_2_id) + ..., data, model_type)` of bisonR 1.1 (Hart et al. 2023)
takes a row for each observation of two individuals or their sum: `binary`: event of duration observations are
"together"; `count`: event things happened in a duration of time. Ages, `age_diff` and a grouping column are its own
names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

from chimp_assets.database.csv_cells import GuardedWriter
from chimp_assets.database.files.whole_file import write_rows
from chimp_assets.exchange.exports.export import Export, ExportRequest
from chimp_assets.exchange.exports.pieces.lives import YEAR, relation
from chimp_assets.exchange.exports.social.misnaming import README, write_misnaming
from chimp_assets.exchange.exports.social.pairs import (
    RULE_OPTION,
    UNIT_OPTION,
    Effort,
    PairDay,
    PairRule,
    PairSum,
    Unit,
    effort_of,
    pair_units,
    unit_of,
)

DAY_COLUMNS = (
    "node_1_id", "node_2_id", "event", "duration", "group_id", "month", "age_diff", "age_1", "age_2", "sex_1", "sex_2",
    "relation", "seconds_together", "p_joint", "p_1", "p_2", "recorded_h",
)  # fmt: skip
SUM_COLUMNS = (
    "node_1_id", "node_2_id", "event", "duration", "videos_together", "recorded_h", "seconds_together",
    "mean_p_joint", "expected_event", "sex_1", "sex_2", "relation",
)  # fmt: skip

_README = """\
# Pairs of individuals for bisonR

`event` is 1 where two individuals were {rule} in one {unit}, `duration` is 1: one sampling period. A {unit} counts
for two individuals if at least one of them was seen in it while both were alive and under study; the posterior of
`event / duration` is then the simple ratio index. `group_id` is the {unit}. `p_joint` is how sure both names are (of
the best pair, taken as independent), `p_1` and `p_2` each of them; `expected_event` is the sum of `p_joint`.

| file | one row is | model |
|---|---|---|
| `{file}` | a {unit} of two individuals | `binary`, with covariates of the day (`age_diff`, `(1 | month)`) |
| `sums.csv` | two individuals over all of them | `binary_conjugate`: `event` of `duration` |
| | | `count_conjugate`: `videos_together` in `recorded_h` |

`recorded_h`: hours of video of all cameras while both were alive and under study (in `{file}`: on that day).

```r
library(bisonR)
days <- read.csv("{file}", stringsAsFactors = FALSE)
names <- sort(unique(c(days$node_1_id, days$node_2_id)))
days$node_1_id <- factor(days$node_1_id, levels = names)
days$node_2_id <- factor(days$node_2_id, levels = names)
fit <- bison_model((event | duration) ~ dyad(node_1_id, node_2_id) + (1 | month), data = days, model_type = "binary")

sums <- read.csv("sums.csv", stringsAsFactors = FALSE)
sums$node_1_id <- factor(sums$node_1_id, levels = names)
sums$node_2_id <- factor(sums$node_2_id, levels = names)
fit <- bison_model((event | duration) ~ dyad(node_1_id, node_2_id), data = sums, model_type = "binary_conjugate")

# How much rests on unsure names: the same with days that are surely of both, and with the sum of probabilities.
sure <- subset(days, event == 0 | p_joint >= 0.9)
sums$expected_event / sums$event
X <- matrix(0, length(names), length(names), dimnames = list(names, names))   # for correct() below
X[cbind(as.character(sums$node_1_id), as.character(sums$node_2_id))] <- sums$event
X <- X + t(X)
```

```python
import pandas as pd
days, sums = pd.read_csv("{file}"), pd.read_csv("sums.csv")
sums["sri"] = sums["event"] / sums["duration"]
X = sums.pivot(index="node_1_id", columns="node_2_id", values="event")
names = sorted({*sums["node_1_id"], *sums["node_2_id"]})
X = X.reindex(index=names, columns=names).fillna(0); X = X + X.T   # for correct() below
```
"""
WORDS = {
    "moment": "visible at the same moment",
    "video": "in one video",
    "day": "filmed by one camera",
}


def _write(request: ExportRequest, folder: Path) -> int:
    rule = cast("PairRule", request.options["rule"])
    unit = unit_of(request.options["unit"], rule)
    request.tell(
        together=rule,
        unit=f"a {unit.words} in which one of the two was seen while both were alive and under study",
        models={
            unit.file: "bisonR binary (event 0 or 1 of duration 1)",
            "sums.csv": "bisonR binary_conjugate (event of duration units); count (videos_together in recorded_h)",
        },
    )
    sums: dict[tuple[int, int], PairSum] = {}
    with request.read() as conn:
        effort = effort_of(conn)
        days = _summed(
            pair_units(conn, request.selection, rule, unit, lambda n: request.count(videos_without_time=n)), sums
        )
        with (folder / unit.file).open("w", encoding="utf-8", newline="") as table:
            writer = GuardedWriter(table)
            writer.writerow(DAY_COLUMNS)
            n = 0
            for row in _day_rows(days, effort):
                writer.writerow(row)
                n += 1
        names = {one.anim_id for pair in sums.values() for one in (pair.a, pair.b)}
        write_misnaming(conn, request, folder, sorted(names))
    with (folder / "sums.csv").open("wb") as stream:
        pairs = write_rows(stream, SUM_COLUMNS, (_sum_row(one, effort) for _, one in sorted(sums.items())))
    (folder / "README.md").write_text(readme_of(_README, rule, unit), encoding="utf-8")
    request.count(days=n, pairs=pairs)
    return n


def readme_of(text: str, rule: PairRule, unit: Unit) -> str:
    """A README with the words of a rule and a unit, and what all say of names."""
    for key, words in (("{rule}", WORDS[rule]), ("{unit}", unit.words), ("{file}", unit.file)):
        text = text.replace(key, words)
    return text + README


def _summed(days: Iterable[PairDay], sums: dict[tuple[int, int], PairSum]) -> Iterator[PairDay]:
    for one in days:
        key = one.a.individual_id, one.b.individual_id
        if key not in sums:
            sums[key] = PairSum(one.a, one.b)
        sums[key].add(one)
        yield one


def _day_rows(days: Iterable[PairDay], effort: Effort) -> Iterator[list[Any]]:
    """Rows of days.csv. What is the same for a day or for two individuals is worked out once: there are millions."""
    day, month, hours = None, "", 0.0
    of_pair: dict[tuple[int, int], tuple[str, float | None]] = {}
    for one in days:
        a, b = one.a, one.b
        if one.day != day:
            day, month = one.day, f"{one.day:%Y-%m}"
            hours = round(effort.on(one.day_no) / 3600, 4)
        key = a.individual_id, b.individual_id
        if key not in of_pair:
            older = None
            if a.born_day_no is not None and b.born_day_no is not None:
                older = round((b.born_day_no - a.born_day_no) / YEAR, 6)
            of_pair[key] = relation(a, b), older
        kin, older = of_pair[key]
        yield [
            a.anim_id, b.anim_id, one.together, 1, one.unit, month, older, _short(a.age_y(one.day_no)),
            _short(b.age_y(one.day_no)), a.sex, b.sex, kin, round(one.seconds, 3), _short(one.p_joint),
            _short(one.p_a), _short(one.p_b), hours,
        ]  # fmt: skip


def _sum_row(one: PairSum, effort: Effort) -> list[Any]:
    _, seconds = effort.of(one.a, one.b)
    return [
        one.a.anim_id, one.b.anim_id, one.x, one.days, one.n_videos, round(seconds / 3600, 4), round(one.seconds, 3),
        _short(one.p_sum / one.x if one.x else None), round(one.p_sum, 6), one.a.sex, one.b.sex, relation(one.a, one.b),
    ]  # fmt: skip


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


EXPORT = Export(
    "Pairs of individuals by day and summed up, with ages, kinship, effort and probabilities, for bisonR.",
    "",
    _write,
    folder=True,
    options=(RULE_OPTION, UNIT_OPTION),
)

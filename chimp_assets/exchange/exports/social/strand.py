"""A folder for STRAND: directed ties with what was observed, exposures and sampling effort.

Belongs here: the files and how R makes STRAND's matrices of them. Does not belong here: when two are together
(`pairs`).

`make_strand_data(outcome, exposure, block_covariates, individual_covariates, dyadic_covariates, outcome_mode)` of
STRAND (Ross, McElreath and Redhead 2024) takes a matrix with a row and a column for each individual: `binomial`:
outcome[i, j] of exposure[i, j] observations were "together"; covariates in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa

from chimp_assets.database.files.whole_file import write_rows
from chimp_assets.exchange.exports.export import Export, ExportRequest
from chimp_assets.exchange.exports.pieces.animals import individuals_in
from chimp_assets.exchange.exports.pieces.lives import YEAR, StudyLife, lives_of, relation
from chimp_assets.exchange.exports.pieces.times import day_of
from chimp_assets.exchange.exports.selection import Selection
from chimp_assets.exchange.exports.social.bisonr import readme_of
from chimp_assets.exchange.exports.social.misnaming import write_misnaming
from chimp_assets.exchange.exports.social.pairs import (
    RULE_OPTION,
    UNIT_OPTION,
    Effort,
    PairRule,
    PairSum,
    effort_of,
    pair_sums,
    pair_units,
    unit_of,
)

TIE_COLUMNS = (
    "from", "to", "outcome", "exposure", "exposure_from", "possible", "sampled_days", "recorded_h", "seconds_together",
    "mean_p_joint", "expected_outcome", "relation", "age_diff",
)  # fmt: skip
NODE_COLUMNS = ("id", "name", "sex", "age", "mother", "enters", "leaves")

_README = """\
# Ties for STRAND

Two individuals are together in a {unit} in which they were {rule}. Every two individuals that were seen stand in
`ties.csv` twice, once in each direction.

| column | what it is |
|---|---|
| `outcome` | units ({unit}) together |
| `expected_outcome` | the sum of `p_joint` over them: how many of them hold if each name is as sure as it says |
| `exposure` | units in which at least one of the two was seen, the same both ways: `binomial`, the simple ratio index |
| `exposure_from` | units in which `from` was seen: `binomial`, the share of its units that `from` spends with `to` |
| `possible` | 0: never alive and under study at the same time, so no tie can be |
| `sampled_days`, `recorded_h` | sampling effort: days and hours of video while both were alive and under study |

`individuals.csv` is in the order of the matrices; `age` is in years in the middle of the recordings.

```r
library(STRAND)
nodes <- read.csv("individuals.csv"); ties <- read.csv("ties.csv", stringsAsFactors = FALSE)
square <- function(column) {
  m <- matrix(0, nrow(nodes), nrow(nodes), dimnames = list(nodes$id, nodes$id))
  m[cbind(ties$from, ties$to)] <- ties[[column]]
  m
}
kin <- square("relation"); kin <- (kin == "mother_offspring") * 1; diag(kin) <- 0
dat <- make_strand_data(outcome = list(Together = square("outcome")), exposure = list(Together = square("exposure")),
                        block_covariates = data.frame(Sex = as.factor(nodes$sex)),
                        dyadic_covariates = list(Kin = kin), outcome_mode = "binomial", link_mode = "logit")
fit <- fit_block_plus_social_relations_model(data = dat, block_regression = ~ Sex, focal_regression = ~ 1,
                                             target_regression = ~ 1, dyad_regression = ~ Kin)
X <- square("outcome")   # for correct() below; square("expected_outcome") / X says how much rests on unsure names
```

```python
import pandas as pd
ties = pd.read_csv("ties.csv")
X = ties.pivot(index="from", columns="to", values="outcome").fillna(0)   # for correct() below
```
"""


def _write(request: ExportRequest, folder: Path) -> int:
    rule = cast("PairRule", request.options["rule"])
    unit = unit_of(request.options["unit"], rule)
    request.tell(
        together=rule,
        unit=f"a {unit.words} in which one of the two was seen while both were alive and under study",
        models={"ties.csv": "STRAND binomial: outcome of exposure (symmetric), or of exposure_from (directed)"},
    )
    with request.read() as conn:
        effort = effort_of(conn)
        nodes = _nodes(conn, request.selection)
        units = pair_units(conn, request.selection, rule, unit, lambda n: request.count(videos_without_time=n))
        sums = pair_sums(units)
        write_misnaming(conn, request, folder, [one.anim_id for one in nodes])
    middle = effort.day_nos[len(effort.day_nos) // 2] if effort.day_nos else None
    with (folder / "individuals.csv").open("wb") as stream:
        names = {one.individual_id: one.anim_id for one in nodes}
        write_rows(stream, NODE_COLUMNS, (_node_row(one, names, middle) for one in nodes))
    with (folder / "ties.csv").open("wb") as stream:
        n = write_rows(stream, TIE_COLUMNS, _ties(nodes, sums, effort))
    (folder / "README.md").write_text(readme_of(_README, rule, unit), encoding="utf-8")
    request.count(ties=n, individuals=len(nodes))
    return n


def _nodes(conn: sa.Connection, selection: Selection) -> list[StudyLife]:
    chosen = {individual_id for individual_id, _ in individuals_in(conn, selection)}
    return sorted((one for one in lives_of(conn) if one.individual_id in chosen), key=lambda one: one.anim_id)


def _node_row(one: StudyLife, names: dict[int, str], middle: int | None) -> list[Any]:
    age = None if middle is None else one.age_y(middle)
    mother = None if one.mom_id is None else names.get(one.mom_id)
    enters, leaves = day_of(one.from_day_no), day_of(one.until_day_no)
    return [one.anim_id, one.name, one.sex, None if age is None else round(age, 3), mother, enters, leaves]


def _ties(nodes: list[StudyLife], sums: dict[tuple[int, int], PairSum], effort: Effort) -> Iterator[list[Any]]:
    for one in nodes:
        for other in nodes:
            if one is not other:
                yield _tie(one, other, sums, effort)


def _tie(one: StudyLife, other: StudyLife, sums: dict[tuple[int, int], PairSum], effort: Effort) -> list[Any]:
    first, second = sorted((one.individual_id, other.individual_id))
    found = sums.get((first, second)) or PairSum(one, other)
    days, seconds = effort.of(one, other)
    seen = found.days_a if found.a.individual_id == one.individual_id else found.days_b
    born = one.born_day_no, other.born_day_no
    older = None if born[0] is None or born[1] is None else (born[1] - born[0]) / YEAR
    overlap = one.from_day_no <= other.until_day_no and other.from_day_no <= one.until_day_no
    return [
        one.anim_id, other.anim_id, found.x, found.days, seen, int(overlap), days, round(seconds / 3600, 4),
        round(found.seconds, 3), round(found.p_sum / found.x, 6) if found.x else None, round(found.p_sum, 6),
        relation(one, other),
        None if older is None else round(older, 6),
    ]  # fmt: skip


EXPORT = Export(
    "Directed ties with outcomes, exposures, sampling effort and covariates, for STRAND.",
    "",
    _write,
    folder=True,
    options=(RULE_OPTION, UNIT_OPTION),
)

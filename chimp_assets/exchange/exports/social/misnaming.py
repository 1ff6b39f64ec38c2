"""Whom the champion head takes for whom, beside networks: the answers of the audit and the matrix that they make.

Belongs here: the two files and how R and Python read them. Does not belong here: answers (`v_audit_answer`), networks
that are corrected already (`insight.association`).

Each row of the matrix is drawn towards the mean of all: with k answers about an individual, the mean counts for another
STRENGTH. Names drawn at random from `probability` are no remedy: companions predict each other, so such draws keep half
of a true tie at an accuracy of .8. The matrix, inverted, keeps it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.files.whole_file import write_rows
from chimp_assets.exchange.exports.export import ExportRequest

STRENGTH = 10.0
"""Answers that the mean of all counts for in each row."""
MATRIX, ANSWERS = "misclassification.csv", "audit_answers.csv"
NO_NAME = "no_name"
_audit = sa.table("v_audit_answer", sa.column("true_id"), sa.column("predicted_id"))

README = """\

## How sure names are

`audit_answers.csv`: of tracks drawn at random, whom people saw (`true`) and whom the model named (`named`, empty
where it named nobody), counted. `misclassification.csv`: from them the chance that a track of the row's individual
gets the column's name, each row drawn towards the mean of all (which counts for 10 answers). Days together that are
expected of names that err are `t(M) %*% X %*% M`; so X is found again by the inverse. It is about names of the model:
where people named most tracks, it corrects too much. With few answers the matrix is a guess; draw the answers anew
(bootstrap) for an interval. Do not draw names at random from the probabilities: companions predict each other, and
such networks lose half of a tie.

```r
M <- as.matrix(read.csv("misclassification.csv", row.names = 1, check.names = FALSE))
M <- M[, rownames(M)]                                      # without the column no_name
correct <- function(X) { M <- M[rownames(X), rownames(X)]; solve(t(M)) %*% X %*% solve(M) }
```

```python
import numpy as np, pandas as pd
M = pd.read_csv("misclassification.csv", index_col=0)
def correct(X):  # a DataFrame of counts, individuals by individuals
    m = M.loc[X.index, X.index].to_numpy()
    return pd.DataFrame(np.linalg.inv(m.T) @ X.to_numpy() @ np.linalg.inv(m), X.index, X.index)
```
"""


def write_misnaming(conn: sa.Connection, request: ExportRequest, folder: Path, names: list[str]) -> None:
    """Both files, with a row for each of these individuals. Without an answer the matrix has no rows, and a note says
    so."""
    counts = audit_counts(conn)
    n = sum(counts.values())
    with (folder / ANSWERS).open("wb") as stream:
        rows = sorted(counts.items(), key=lambda pair: (pair[0][0], pair[0][1] or ""))
        write_rows(stream, ("true", "named", "n"), ([true, named, k] for (true, named), k in rows))
    everybody = sorted({*names, *(true for true, _ in counts), *(named for _, named in counts if named is not None)})
    with (folder / MATRIX).open("wb") as stream:
        header = ("true", *everybody, NO_NAME) if n else ("true", NO_NAME)
        write_rows(stream, header, matrix_rows(counts, everybody) if n else iter(()))
    request.count(audit_answers=n)
    if not n:
        request.note("No audit track is answered yet, so nothing is known of how often names are wrong.")


def audit_counts(conn: sa.Connection) -> Counter[tuple[str, str | None]]:
    """How often each individual was named so by the champion head, None where it named nobody. Individuals that people
    do not know are left out: the matrix has no row for them."""
    i, a = t.individual.c, _audit.c
    codes = {int(key): str(code) for key, code in conn.execute(sa.select(i.individual_id, i.anim_id))}
    found: Counter[tuple[str, str | None]] = Counter()
    for true, named in conn.execute(sa.select(a.true_id, a.predicted_id).where(a.true_id.is_not(None))):
        found[codes[int(true)], None if named is None else codes[int(named)]] += 1
    return found


def matrix_rows(counts: Counter[tuple[str, str | None]], everybody: list[str]) -> Iterator[list[object]]:
    """A row for each individual: its code, the chance of each name, and that of no name; chances sum to 1."""
    n = sum(counts.values())
    right = sum(k for (true, named), k in counts.items() if true == named) / n
    nobody = sum(k for (_, named), k in counts.items() if named is None) / n
    others = len(everybody) - 1
    other = (1 - right - nobody) / others if others else 0.0
    rest = 0.0 if others else 1 - right - nobody
    for true in everybody:
        mine = {named: k for (one, named), k in counts.items() if one == true}
        answers = sum(mine.values())
        chances = [
            (mine.get(named, 0) + STRENGTH * (right + rest if named == true else other)) / (answers + STRENGTH)
            for named in everybody
        ]
        none = (mine.get(None, 0) + STRENGTH * nobody) / (answers + STRENGTH)
        yield [true, *(round(chance, 8) for chance in chances), round(none, 8)]

"""Whom the champion head takes for whom, beside networks: the answers of the audit and the matrix that they make.

Belongs here: the two files and how R and Python read them. Does not belong here: answers (`v_audit_answer`), networks
that are corrected already (`insight.association`).

The matrix is the one that the pages of associations take errors out with (`statistics.association.misclassification`):
each row is drawn towards the mean of all, as far as individuals are alike. Names drawn at random from
`probability` are no remedy: companions predict each other, so such draws keep half of a true tie at an accuracy of .8.
The matrix, inverted, keeps it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.database.files.whole_file import write_rows
from chimp_assets.exchange.exports.export import ExportRequest
from chimp_assets.statistics.association.misclassification import NO_NAME as NOBODY

if TYPE_CHECKING:
    from chimp_assets.insight.association.errors import NameErrors

MATRIX, ANSWERS = "misclassification.csv", "audit_answers.csv"
NO_NAME = "no_name"

README = """\

## How sure names are

`audit_answers.csv`: of tracks drawn at random, whom people saw (`true`) and whom the model named (`named`, empty
where it named nobody, or not surely enough to count), counted. `misclassification.csv`: from them the chance that a
track of the row's individual gets the column's name, the same as on the pages of associations: each row drawn
towards the mean of all, as far as individuals are alike. Days together that
are expected of names that err are `t(M) %*% X %*% M`; so X is found again by the inverse. It is about names of the
model: where people named most tracks, it corrects too much. With few answers the matrix is a guess; draw the answers
anew (bootstrap) for an interval. Do not draw names at random from the probabilities: companions predict each other, and
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
    """Both files, with a row for each of these individuals. Names count from the probability of the selection on, in
    the audit as in the export. Without an answer the matrix has no rows, and a note says so."""
    from chimp_assets.insight.association.errors import champion_errors

    i = t.individual.c
    code = {int(key): str(word) for key, word in conn.execute(sa.select(i.individual_id, i.anim_id))}
    errors = champion_errors(conn, request.selection.min_probability)
    with (folder / ANSWERS).open("wb") as stream:
        counted = sorted(audit_counts(errors, code).items(), key=lambda pair: (pair[0][0], pair[0][1] or ""))
        write_rows(stream, ("true", "named", "n"), ([true, named, k] for (true, named), k in counted))
    asked = {code[int(key)] for key in (*errors.true, *errors.named) if key != NOBODY}
    of_code = {word: key for key, word in code.items()}
    everybody = sorted({*names, *asked})
    with (folder / MATRIX).open("wb") as stream:
        header = ("true", *everybody, NO_NAME) if errors.n_answers else ("true", NO_NAME)
        keys = [of_code[word] for word in everybody]
        write_rows(stream, header, matrix_rows(errors, keys, everybody) if errors.n_answers else iter(()))
    request.count(audit_answers=errors.n_answers)
    if not errors.n_answers:
        request.note("No audit track is answered yet, so nothing is known of how often names are wrong.")
    elif not errors.says_enough:
        request.note(
            f"The {errors.n_answers} answers of the audit say too little about wrong names: the pages correct nothing "
            "with this matrix."
        )


def audit_counts(errors: NameErrors, code: dict[int, str]) -> Counter[tuple[str, str | None]]:
    """How often each individual was named so by the champion head, None where it named nobody. Individuals that people
    do not know are left out: the matrix has no row for them."""
    found: Counter[tuple[str, str | None]] = Counter()
    for true, named in zip(errors.true.tolist(), errors.named.tolist(), strict=True):
        found[code[true], None if named == NOBODY else code[named]] += 1
    return found


def matrix_rows(errors: NameErrors, keys: list[int], codes: list[str]) -> Iterator[list[object]]:
    """A row for each individual: its code, the chance of each name, and that of no name. keys: everybody in the answers
    among them."""
    names = errors.of(keys)
    matrix = names.matrix(names.strength())
    nobody = np.clip(1 - matrix.sum(1), 0, 1)
    for word, chances, none in zip(codes, matrix.tolist(), nobody.tolist(), strict=True):
        yield [word, *(round(chance, 8) for chance in chances), round(none, 8)]

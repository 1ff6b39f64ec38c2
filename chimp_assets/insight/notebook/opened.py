"""The archive in a notebook: questions of the cookbook and any SQL as pandas tables, nothing that writes.

Belongs here: what a researcher calls. Does not belong here: questions (`insight.questions`), the notebook (`cells`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from chimp_assets.database.connection.engine import Database
from chimp_assets.insight import questions

if TYPE_CHECKING:
    import pandas as pd


class OpenArchive:
    """An archive to ask. db: of a home, or its replica."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def ask(self, name: str, **parameters: Any) -> pd.DataFrame:
        """The answer to a question of the cookbook, a row each. Raises QuestionError for a question or parameter that
        there is not, and for an individual that nobody is called."""
        import pandas as pd

        found = questions.ask(self._db, name, parameters)
        if found.unknown:
            raise questions.QuestionError(" ".join(found.unknown), "See archive.sql('SELECT anim_id FROM individual').")
        return pd.DataFrame(found.rows, columns=found.columns)

    def sql(self, statement: str, **parameters: Any) -> pd.DataFrame:
        """Rows of a SELECT, with :name for each parameter. The transaction reads, and is rolled back."""
        import pandas as pd

        with self._db.read() as conn:
            result = conn.execute(sa.text(statement), parameters)
            return pd.DataFrame(result.all(), columns=list(result.keys()))

    def questions(self) -> pd.DataFrame:
        """Every question of the cookbook: name, what it asks, its parameters."""
        import pandas as pd

        rows = [(one.name, one.asks, ", ".join(p.usage for p in one.parameters)) for one in questions.questions()]
        return pd.DataFrame(rows, columns=["name", "asks", "parameters"])

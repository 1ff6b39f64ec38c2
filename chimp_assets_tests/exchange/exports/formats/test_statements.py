"""Every statement of the formats of science is T-SQL, and no two results are open at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from chimp_assets.database.connection.engine import Database
from chimp_assets.exchange.exports import export
from chimp_assets.exchange.exports.export import ExportRequest, write_export
from chimp_assets.exchange.exports.selection import Selection
from chimp_assets.settings import Settings
from chimp_assets_tests.database import t_sql

FORMATS = ("asnipe", "bisonr", "strand", "parquet", "boris", "elan", "camtrapr")


@pytest.fixture
def spoken() -> Iterator[list[Any]]:
    """Every statement that SQLAlchemy makes while the test runs."""
    heard: list[Any] = []

    def listen(conn: Any, element: Any, several: Any, parameters: Any, options: Any) -> None:
        heard.append(element)

    sa.event.listen(sa.Engine, "before_execute", listen)
    yield heard
    sa.event.remove(sa.Engine, "before_execute", listen)


def test_what_the_formats_ask_is_t_sql(study: Database, settings: Settings, tmp_path: Path, spoken: list[Any]) -> None:
    """A format that only two databases take is none for an institute with Azure SQL."""
    for name in FORMATS:
        for options in ({}, {"rule": "day"}, {"partition": "site_year"}, {"station": "site", "records": "species"}):
            if options.keys() <= {one.name for one in export(name).options}:
                request = ExportRequest(study, settings, selection=Selection(sites=("a",)), options=options)
                write_export(export(name), request, tmp_path / name, force=True)
    texts = {t_sql.compiled(element) for element in spoken if isinstance(element, sa.Select)}
    assert len(texts) > 10
    assert [(text, faults) for text in texts if (faults := t_sql.faults_of(text))] == []

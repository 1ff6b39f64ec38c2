"""Runs T-SQL from standard input in the database of CHIMP_DATABASE_URL, statement by statement, as `GO` parts them.

For `azure/values.py`'s grants, from a pod: the server is reached from the network only.
Does not belong here: migrations (`chimp init`), questions (`chimp query`).
"""

import re
import sys

from chimp_assets.database.connection.engine import Database
from chimp_assets.settings import load_settings

database = Database(load_settings().database_url)
with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
    for statement in re.split(r"(?mi)^\s*GO\s*$", sys.stdin.read()):
        if statement.strip():
            connection.exec_driver_sql(statement.strip())
            print(statement.strip().splitlines()[0])  # noqa: T201

"""Individuals from CSV files: biographies, communities, memberships and aliases, with SokweDB's or PLHDB's names.

Belongs here: which table a file is and which column means what. Does not belong here: what may be said of an
individual and how it is stored (`individuals`), and the form of CSV files (`csv_tables`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from chimp_assets.database.connection.engine import Database
from chimp_assets.database.csv_cells import Number
from chimp_assets.database.csv_sheets import Fault, TableFileError
from chimp_assets.database.csv_tables import Layout, read_table, refusal_of
from chimp_assets.database.individuals.aliases import write_aliases
from chimp_assets.database.individuals.batch import RowsRefusedError, SourceRow, Terms, WriteReport
from chimp_assets.database.individuals.biographies import write_biographies
from chimp_assets.database.individuals.memberships import write_communities, write_memberships

# SokweDB: sokwe.janegoodall.org/doc/tech_spec_single. PLHDB: demo.plhdb.org. Headers without case and underscores.
BIOGRAPHY = Layout(
    "biographies",
    frozenset({"anim_id"}),
    {
        "animid": "anim_id",
        "name": "name",
        "animname": "name",
        "sex": "sex",
        "birthdate": "birth_date",
        "bdmin": "bd_min",
        "bdmax": "bd_max",
        "bddist": "bd_dist",
        "birthcomm": "birth_community",
        "birthcommunity": "birth_community",
        "birthgroup": "birth_community",
        "bgqual": "bg_qual",
        "firstborn": "first_born",
        "momid": "mom_id",
        "dadid": "dad_id",
        "entrydate": "entry_date",
        "entrytype": "entry_type",
        "departdate": "depart_date",
        "departtype": "depart_type",
        "departdateerror": "depart_date_error",
    },
    frozenset({"study", "studyid", "dadprelim", "dadidpub", "momname", "dadname", "comments", "notes", "animidnum"}),
    {"depart_date_error": Number(low=0, high=200)},
)
MEMBERSHIPS = Layout(
    "community memberships",
    frozenset({"anim_id", "community", "start_date"}),
    {
        "animid": "anim_id",
        "commid": "community",
        "startdate": "start_date",
        "enddate": "end_date",
        "source": "source",
        "startsource": "source",
    },
    frozenset({"commmid", "commmembid", "notes", "endsource"}),
)
COMMUNITIES = Layout(
    "communities",
    frozenset({"community", "name"}),
    {"commid": "community", "name": "name"},
    frozenset({"notes", "membcriteria"}),
)
ALIASES = Layout(
    "aliases",
    frozenset({"anim_id", "alias"}),
    {
        "animid": "anim_id",
        "alias": "alias",
        "validfrom": "valid_from",
        "from": "valid_from",
        "validto": "valid_to",
        "to": "valid_to",
    },
    frozenset({"aliasid", "notes"}),
)
LAYOUTS = (ALIASES, MEMBERSHIPS, BIOGRAPHY, COMMUNITIES)

_WRITERS = {
    BIOGRAPHY.name: write_biographies,
    MEMBERSHIPS.name: write_memberships,
    COMMUNITIES.name: write_communities,
    ALIASES.name: write_aliases,
}
# Our columns as the person who reads a message knows them: SokweDB's, where the file is no help.
_SOKWE = {"community": "CommID", "birth_community": "BirthComm"}


@dataclass(frozen=True)
class IndividualImportReport:
    """What became of a file. table: what it holds; left_out: its columns that are not stored; skipped: bad rows; notes:
    what was assumed about the file.
    """

    table: str
    added: int
    changed: int
    unchanged: int
    removed: int
    communities: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    skipped: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list, compare=False)


def import_individuals(db: Database, file: Path, terms: Terms | None = None) -> IndividualImportReport:
    """Store a CSV file of biographies, communities, memberships or aliases; its header says which. One transaction.

    What the database knows is changed where the file says otherwise, also to nothing where a cell is empty; a column
    that the file lacks is left as it is. Raises TableFileError; FaultyTableError naming every row that cannot be, and
    then nothing of the file is stored (`Terms.skip_bad` stores the others); PeopleError for bad terms.
    """
    terms = terms or Terms()
    table = read_table(file, LAYOUTS)
    if terms.replace and table.layout is not MEMBERSHIPS:
        raise TableFileError(
            f"{file} holds {table.layout.name}, and only memberships can be replaced.", "Leave out --replace."
        )
    told = [SourceRow(row.line, row.cells) for row in table.rows]

    def columns_of_the_file(faults: list[Fault]) -> list[Fault]:
        names = _SOKWE | dict(table.columns)
        return sorted(
            [Fault(f.line, names.get(f.column, f.column), f.message) for f in faults] + table.faults,
            key=lambda fault: fault.line,
        )

    def work(conn: sa.Connection) -> WriteReport:
        written = _WRITERS[table.layout.name](conn, told, terms)
        if table.faults and not terms.skip_bad:
            raise RowsRefusedError([])
        return written

    try:
        written = db.transact(work)
    except RowsRefusedError as refused:
        raise refusal_of(file, columns_of_the_file(refused.faults), table.notes) from None
    counts: dict[str, Any] = {name: getattr(written, name) for name in ("added", "changed", "unchanged", "removed")}
    return IndividualImportReport(
        table.layout.name,
        **counts,
        communities=written.communities,
        left_out=table.left_out,
        skipped=columns_of_the_file(written.skipped),
        notes=table.notes,
    )

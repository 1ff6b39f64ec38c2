"""Names of a file: whom they mean, new individuals, and the label events that say so.

Belongs here: looking names up, events of lane `import` with ids that follow from the file. Does not belong here: which
track a name is about (`taking`), the rules of events (`database.labels`).
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from chimp_assets.database import schema
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.connection.parameters import rows_in_parts
from chimp_assets.database.individuals.batch import SourceRow, Terms
from chimp_assets.database.individuals.biographies import write_biographies
from chimp_assets.database.individuals.register import Register
from chimp_assets.database.individuals.rules import UNKNOWN_ANIM_ID
from chimp_assets.database.labels.label_event import LabelEvent
from chimp_assets.database.people.names import clean, code_of, key_of
from chimp_assets.exchange.imports.intake.report import NameCounts

ROW_NAMESPACE = uuid.UUID("8a1f2c52-3a0e-5b7e-9c5a-6a1f1c8f2d11")
"""Of names in files of other programs: the same row of the same file is the same event in every home."""
NOBODY = frozenset(map(key_of, ("unknown", "unidentified", "unnamed", "nan", "none", "null", "n/a", "na", "?", "-")))
"""What programs write where nobody was named, unless an individual is called so."""
_LONGEST_CODE = 40


@dataclass
class NameBook:
    """Whom the names of a file mean. codes: AnimIDs by the name as written; nobody: names that mean nobody."""

    codes: dict[str, str] = field(default_factory=dict)
    nobody: set[str] = field(default_factory=set)


def look_up(db: Database, names: Sequence[tuple[str, int]], counts: NameCounts, new: bool) -> NameBook:
    """Whom names mean: by code, by alias, by the name of one individual. names: as written, with their rows.

    new: names of nobody will be new individuals (`make_individuals`), else counts says so.
    """
    with db.read() as conn:
        register = Register.of(conn)
    called: dict[str, list[str]] = {}
    for anim_id, row in register.rows.items():
        if row["name"] and row["same_as_id"] is None:
            called.setdefault(key_of(row["name"]), []).append(anim_id)
    book = NameBook()
    for text, n in names:
        code: str | None = register.code_of(text)
        if code is None and len(called.get(key_of(text), ())) == 1:
            code = called[key_of(text)][0]
        if code is not None or code_of(text) == UNKNOWN_ANIM_ID:
            book.codes[text] = code or UNKNOWN_ANIM_ID
        elif key_of(text) in NOBODY:
            book.nobody.add(text)
            counts.nobody.add(text, n)
        elif not new:
            counts.unknown.add(f"{text} ({n} rows)")
    return book


def planned_individuals(names: Sequence[tuple[str, int]], book: NameBook) -> dict[str, str]:
    """Codes of the individuals that unknown names would become, by the name as written; of one spelling one."""
    by_key: dict[str, str] = {}
    planned: dict[str, str] = {}
    for text, _ in names:
        if text in book.codes or text in book.nobody:
            continue
        planned[text] = by_key.setdefault(key_of(text), _code_for(text))
    return planned


def make_individuals(
    db: Database, planned: dict[str, str], book: NameBook, counts: NameCounts, user: str, file: str
) -> None:
    """Add individuals for unknown names, those that may be one; the others are counted as unknown, with the reason."""
    codes = dict.fromkeys(planned.values())
    names = {code: text for text, code in reversed(planned.items())}
    told = [
        SourceRow(line, {"anim_id": code} | ({} if names[code] == code else {"name": clean(names[code])}))
        for line, code in enumerate(codes, start=1)
    ]
    terms = Terms(skip_bad=True, why=f"named in {file}"[:1000], by=user)
    report = db.transact(lambda conn: write_biographies(conn, told, terms))
    refused = {list(codes)[fault.line - 1]: fault.message for fault in report.skipped}
    for text, code in planned.items():
        if code in refused:
            counts.unknown.add(f"{text}: {refused[code]}")
        else:
            book.codes[text] = code
    for code in codes:
        if code not in refused:
            counts.made.add(code)


def _code_for(text: str) -> str:
    code = code_of(text)
    if len(code) <= _LONGEST_CODE:
        return code
    return f"{code[:31].strip()}-{hashlib.blake2b(code.encode(), digest_size=4).hexdigest().upper()}"


def event_of(
    file_hash: str, medium: str, source_id: str, code: str, track_id: int, annotator: str, note: str
) -> LabelEvent:
    """The label event of one name of a file. Its id follows from the file, the row and who says so."""
    said = "\x1f".join((file_hash, medium, source_id, code, key_of(annotator)))
    about_nobody = code == UNKNOWN_ANIM_ID
    return LabelEvent(
        str(uuid.uuid5(ROW_NAMESPACE, said)),
        "unknown" if about_nobody else "identify",
        annotator,
        lane="import",
        track_id=track_id,
        anim_id=None if about_nobody else code,
        note=note[:2000],
    )


@dataclass(frozen=True)
class StandingName:
    """What stands for a track: kind, whom it names (the root of merges), by whom, from which lane."""

    kind: str
    individual_id: int | None
    annotator_id: int
    lane: str

    def says_so(self, individual_id: int | None, annotator_id: int | None) -> bool:
        """Whether the same person's import named the same individual."""
        ours = (self.individual_id, self.annotator_id, self.lane)
        return self.kind == "identify" and ours == (individual_id, annotator_id, "import")


def standing_names(conn: sa.Connection, track_ids: Sequence[int]) -> dict[int, StandingName]:
    """Standing answers of tracks, by track."""
    s, i = schema.standing_answer, schema.individual
    statement = sa.select(
        s.c.track_id,
        s.c.kind,
        s.c.annotator_id,
        s.c.lane,
        sa.func.coalesce(i.c.same_as_id, i.c.individual_id).label("who"),
    ).outerjoin_from(s, i, i.c.individual_id == s.c.individual_id)
    return {
        row.track_id: StandingName(row.kind, row.who, row.annotator_id, row.lane)
        for row in rows_in_parts(conn, lambda part: statement.where(s.c.track_id.in_(part)), set(track_ids))
    }

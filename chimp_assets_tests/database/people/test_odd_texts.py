"""Any text of a user comes back exactly, or is refused in a sentence, whichever way it came in."""

from __future__ import annotations

import csv
import json
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from chimp_assets.archive.catalogue.register import NewVideo, register
from chimp_assets.archive.storage.store import BlobInfo
from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.csv_cells import unguarded
from chimp_assets.database.csv_sheets import TableFileError
from chimp_assets.database.files.effort_files import import_effort
from chimp_assets.database.files.individual_files import import_individuals
from chimp_assets.database.files.label_files import LabelFileError, import_labels
from chimp_assets.database.footage.cameras import name_key
from chimp_assets.database.individuals.aliases import add_alias
from chimp_assets.database.individuals.batch import Terms
from chimp_assets.database.individuals.biographies import upsert_individuals
from chimp_assets.database.individuals.merges import merge_individuals, unmerge_individual
from chimp_assets.database.labels.events import record_events
from chimp_assets.database.people.names import clean, code_of, doubt_about, fault_in, key_of
from chimp_assets.database.people.users import PeopleError, add_user, record_audit_event
from chimp_assets.database.texts import cut_to, fault_of, units_of
from chimp_assets_tests.database.world import event, make_world, track

NASTY = [
    "Robert'); DROP TABLE annotation;--",
    '"; SELECT 1; --',
    "100 % sure, %s %(a)s :name ? {x} ${y} \\ \\N \\\\.",
    "Ngogo\tCamp\nsecond line\r\nthird",
    "שלום עולם‏ \u202eright to left\u202c",
    "👩‍👩‍👧‍👦 family of 🐒",
    "e\u0301 is not é, and ﬁ is not fi",
    "\u0000",
    "a\u0000b",
    "\ud800",
    "half a pair \udc00 in the middle",
    "\ufeffbom",
    "x" * 10_000,
    "🐵" * 20,
    "🐵" * 40,
    "🐵" * 101,
    "🐵" * 1_001,
    "ß" * 40,
    "ŉı ǆ ΰ ᾳ",
    "=1+1",
    "NULL",
    "nan",
]
texts = st.one_of(st.sampled_from(NASTY), st.text(max_size=50), st.text(st.characters(), max_size=250))
odd = settings(
    max_examples=30, deadline=None, suppress_health_check=(HealthCheck.function_scoped_fixture, HealthCheck.too_slow)
)


@pytest.fixture
def world(db: Database) -> Database:
    make_world(db, videos=1)
    return db


def scalar(db: Database, statement: sa.Select[Any]) -> Any:
    with db.read() as conn:
        return conn.execute(statement).scalar_one()


def refused(call: Callable[[], Any], *errors: type[Exception]) -> bool:
    """Whether a call was refused with a sentence; anything else that goes wrong is a failure."""
    try:
        call()
    except errors as error:
        sentence = getattr(error, "sentence", str(error))
        assert " " in sentence
        return True
    return False


@odd
@given(texts)
def test_what_a_label_says_is_kept_exactly_or_refused(world: Database, text: str) -> None:
    """The note is the one place where the expert writes what no column foresees; no other label may fall with it."""
    told = [
        event("unknown", track(1), note=text),
        event("new_individual", track(1), text),
        event("new_individual", track(1), f"N{uuid.uuid4().hex[:12]}", name=text),
        event("unknown", track(1), shown=json.dumps({"seen": text}, ensure_ascii=False)),
        event("identify", track(1), text),
        event("unknown", track(1), annotator=text),
        event("retract", supersedes=text),
        event("unknown", track(1), annotation_id=text),
        event(text, track(1)),
        event("unknown", track(1), lane=text),
        event("unknown", track(1), note="an honest label"),
    ]
    results = record_events(world, told)
    assert all(result.status == "stored" or " " in (result.reason or "") for result in results)
    assert results[-1].status == "stored"

    def kept(place: int, column: sa.Column[Any]) -> Any:
        joined = sa.select(column).select_from(
            s.annotation.outerjoin(s.individual, s.individual.c.individual_id == s.annotation.c.individual_id)
        )
        return scalar(world, joined.where(s.annotation.c.annotation_id == told[place].annotation_id))

    wanted: list[tuple[int, sa.Column[Any], str | None, bool]] = [
        (0, s.annotation.c.note, text, fault_of(text, 2_000) is None),
        (1, s.individual.c.anim_id, code_of(text), _is_code(text)),
        (2, s.individual.c.name, text or None, fault_of(text, 200) is None and fault_in(text) is None),
        (3, s.annotation.c.shown, told[3].shown, fault_of(told[3].shown or "", 4_000) is None),
    ]
    for place, column, value, possible in wanted:
        assert (results[place].status == "stored") == possible, (place, results[place])
        if possible and value:
            assert kept(place, column) == value
    # The code that the second event made is known to the fifth.
    assert (results[4].status == "stored") == (_is_code(text) and bool(code_of(text)))


def _is_code(text: str) -> bool:
    """Whether a text may be a code among codes of two plain letters and those that earlier texts made."""
    code = code_of(text)
    return fault_of(code, 40) is None and fault_in(code) is None and code != "UNK" and doubt_about(code, {}) is None


@odd
@given(texts)
@example("ǆ")
def test_what_is_said_of_individuals_is_kept_exactly_or_refused(world: Database, text: str) -> None:
    """Names of many languages, and codes that other houses made up."""
    wanted = text.strip()
    c = s.individual.c
    if not refused(lambda: upsert_individuals(world, [{"anim_id": "GM", "name": text}]), PeopleError):
        assert scalar(world, sa.select(c.name).where(c.anim_id == "GM")) == (wanted or None)
        assert fault_of(wanted, 200) is None
    else:
        assert fault_of(wanted, 200) or fault_in(wanted)
    if not refused(lambda: upsert_individuals(world, [{"anim_id": text}]), PeopleError):
        known = scalar(world, sa.select(sa.func.count()).where(c.anim_id == code_of(text)))
        assert known == (code_of(text) != "UNK")
    if not refused(lambda: upsert_individuals(world, [{"anim_id": "GM", "birth_community": text}]), PeopleError):
        codes = sa.select(s.community.c.comm_id).join_from(s.individual, s.community).where(c.anim_id == "GM")
        assert not wanted or key_of(scalar(world, codes)) == key_of(text)
    alias = f"{text} as others say"  # no other example is this name
    if not refused(lambda: add_alias(world, "FF", alias, None, None, Terms(why=text)), PeopleError):
        a = s.individual_alias.c
        with world.read() as conn:
            assert clean(alias) in conn.scalars(sa.select(a.alias)).all()
        (result,) = record_events(world, [event("identify", track(1), alias)])
        assert result.status == "stored", result
    assert refused(lambda: merge_individuals(world, "NOBODY" + text, "FF"), PeopleError)
    if not refused(lambda: merge_individuals(world, "GM", "FF", why=text), PeopleError):
        m = s.individual_merge.c
        assert scalar(world, sa.select(m.reason).order_by(m.merge_id.desc()).limit(1)) == text
        unmerge_individual(world, "GM")


@odd
@given(texts)
def test_what_a_file_says_is_kept_exactly_or_refused(world: Database, tmp_path: Path, text: str) -> None:
    """Cells with quotes, line breaks and delimiters, as spreadsheets write them."""
    file = tmp_path / "table.csv"
    wanted = text.strip()

    def write(header: list[str], row: list[str]) -> bool:
        try:
            with file.open("w", encoding="utf-8", newline="") as out:
                csv.writer(out).writerows([header, row])
        except UnicodeEncodeError:
            return False  # no file can say it
        return True

    if write(["AnimID", "Name", "Sex"], ["GM", text, "F"]) and not refused(
        lambda: import_individuals(world, file), TableFileError
    ):
        name = scalar(world, sa.select(s.individual.c.name).where(s.individual.c.anim_id == "GM"))
        assert name == (unguarded(wanted) or None)
    camera = f"{text}{uuid.uuid4().hex[:8]}"
    if write(["camera", "start_date", "note"], [camera, "2020-01-01", text]) and not refused(
        lambda: import_effort(world, file), TableFileError
    ):
        d = s.deployment.c
        assert scalar(world, sa.select(d.note).where(d.camera == camera.strip())) == (unguarded(wanted) or None)
    if write(["site", "start_date", "end_date", "reason"], ["", "2020-01-01", "2020-01-02", text]) and not refused(
        lambda: import_effort(world, file), TableFileError
    ):
        g = s.sampling_gap.c
        assert scalar(world, sa.select(g.reason).order_by(g.gap_id.desc()).limit(1)) is not None
        assert unguarded(wanted) in world_reasons(world)
    if write(["track_id", "kind", "note"], [str(track(1)), "unknown", text]) and not refused(
        lambda: import_labels(world, file, "anna"), LabelFileError
    ):
        with world.read() as conn:
            assert (unguarded(wanted) or None) in conn.scalars(sa.select(s.annotation.c.note)).all()


def world_reasons(db: Database) -> list[str]:
    with db.read() as conn:
        return list(conn.scalars(sa.select(s.sampling_gap.c.reason)))


@odd
@given(texts)
def test_a_users_name_is_kept_exactly_or_refused(world: Database, text: str) -> None:
    """Jane O'Neill must be able to sign in, and nobody by half of a name."""
    name = f"{text}{uuid.uuid4().hex[:6]}"
    if refused(lambda: add_user(world, name, "expert"), PeopleError):
        assert fault_of(name.strip(), 100) or fault_in(clean(name)) or doubt_about(name, {})
        return
    u = s.app_user.c
    assert scalar(world, sa.select(u.name).order_by(u.user_id.desc()).limit(1)) == clean(name)
    (result,) = record_events(world, [event("unknown", track(1), annotator=name)])
    assert result.status == "stored"


@odd
@given(texts.filter(lambda text: fault_of(text, 700) is None and "/" not in text and text.strip(".")))
def test_a_file_name_is_registered_exactly(db: Database, text: str) -> None:
    """The archive is found again by these names; one letter changed and a video is lost and another is new."""
    uri = f"{text}/{uuid.uuid4().hex}/{text}.mp4" if units_of(text) < 350 else f"{text}-{uuid.uuid4().hex}.mp4"
    at = datetime(2020, 1, 1, tzinfo=UTC)
    video = NewVideo(BlobInfo(uri, 1, "e", at), at, date(2020, 1, 1), "file_time", None)
    with db.write() as conn:
        register(conn, 10, [video], at)
    v = s.video.c
    assert scalar(db, sa.select(v.uri).order_by(v.video_id.desc()).limit(1)) == uri
    site = scalar(db, sa.select(v.site).where(v.uri == uri))
    # A site is written as its camera's first video was: without marks of copies, case and separators count for nothing.
    assert site is None or (name_key(site) in name_key(uri) and units_of(site) <= 100)


@odd
@given(texts)
def test_what_went_wrong_is_written_down_whatever_it_was(world: Database, text: str) -> None:
    """The message of a failed run holds file names; a failure that cannot be recorded is one that nobody sees."""
    record_audit_event(world, "run_failed", "ingest", {"message": text, "again": text})
    e = s.audit_event.c
    detail = scalar(world, sa.select(e.detail).order_by(e.audit_event_id.desc()).limit(1))
    assert text.startswith(json.loads(detail)["message"])


@given(st.text(max_size=30), st.integers(0, 40))
def test_a_text_is_cut_to_a_width_and_never_through_a_letter(text: str, longest: int) -> None:
    """Half of a surrogate pair is no text, and no database takes it."""
    cut = cut_to(text, longest)
    assert text.startswith(cut)
    assert units_of(cut) <= longest
    assert cut == text or units_of(text[: len(cut) + 1]) > longest
    assert units_of(text) == len(text.encode("utf-16-le", "surrogatepass")) // 2

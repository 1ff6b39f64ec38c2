"""How often a mother has her infant with her: counted by hand on a made archive."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.labels.events import record_events
from chimp_assets.insight.association.families.mothers import COLUMNS, Family, family, mothers, rows
from chimp_assets.insight.association.scope import Scope
from chimp_assets.insight.association.units import SamplingUnit
from chimp_assets_tests.database.world import START, event, make_world, track
from chimp_assets_tests.support.homes import copied

CLIPS = Scope("clip", unit=SamplingUnit.of("clip"))
DAYS = 200
BORN = START.date() + timedelta(days=40)
RNG = np.random.default_rng(9)
HERS = RNG.random(DAYS) < 0.8
ITS = RNG.random(DAYS) < np.where(np.arange(DAYS) < 140, 0.95, 0.5)
OTHERS = RNG.random(DAYS) < 0.4


@pytest.fixture(scope="module")
def archive(empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A clip a day: the mother by HERS, the infant by ITS from its birth on, her grown son by OTHERS."""
    db = copied(empty_home, tmp_path_factory.mktemp("families") / "home").database
    make_world(db, videos=DAYS, tracks=3, frames=2)
    told = []
    for day in range(DAYS):
        if HERS[day]:
            told.append(event("identify", track(day + 1, 0), "FF"))
        if ITS[day] and START.date() + timedelta(days=day) >= BORN:
            told.append(event("identify", track(day + 1, 1), "FI"))
        if OTHERS[day]:
            told.append(event("identify", track(day + 1, 2), "FD"))
    record_events(db, told)
    with db.write() as conn:
        i = s.individual.c
        conn.execute(sa.update(s.individual).where(i.anim_id == "FI").values(birth_date=BORN, bd_min=BORN))
        conn.execute(sa.update(s.video).values(duration_s=90.0))
    yield db
    db.dispose()


def asked(db: Database, scope: Scope = CLIPS) -> Family:
    with db.read() as conn:
        (mother,) = mothers(conn)
        assert (mother.label, mother.infants) == ("Fifi", ("Fred",)), "Freud was grown before anything was filmed"
        return family(conn, mother, scope)


def test_shares_are_those_counted_by_hand_with_effort_beside_them(archive: Database) -> None:
    found = asked(archive)
    (infant,) = found.infants
    assert (infant.label, infant.born, infant.named) == ("Fred", BORN, True)
    assert [(age.first, age.before) for age in infant.ages] == [(0, 3), (3, 6)]
    months = (np.arange(DAYS) - 40) / 30.4375
    for age in infant.ages:
        inside = (age.first <= months) & (months < age.before)
        hers = inside & HERS
        assert age.units == age.mother_days == hers.sum()
        assert age.present == (hers & ITS).sum()
        assert age.alone == (hers & ITS & ~OTHERS).sum()
        assert age.others == (hers & ITS & OTHERS).sum()
        assert (age.days, age.hours) == (inside.sum(), pytest.approx(inside.sum() * 90 / 3600))
        for share, n in ((age.of_present, age.present), (age.of_alone, age.alone), (age.of_others, age.others)):
            assert share.value == pytest.approx(n / age.units)
            assert share.low < share.value < share.high
            assert share.blocks == len(np.unique((START.date().toordinal() + np.flatnonzero(hers)) // 4))
    first, last = infant.ages
    assert last.of_present.high < first.of_present.low, "it goes its own way"


def test_rows_say_what_the_page_shows(archive: Database) -> None:
    told = [dict(zip(COLUMNS, row, strict=True)) for row in rows(asked(archive))]
    assert [(row["infant"], row["from_months"], row["before_months"]) for row in told] == [("FI", 0, 3), ("FI", 3, 6)]
    assert all(row["with_infant"] == row["alone"] + row["with_others"] for row in told)
    assert all(row["low"] <= row["share"] <= row["high"] for row in told)


def test_units_and_rules_are_those_of_the_pages(archive: Database) -> None:
    """A day with one clip is that clip; units that need a time have it here."""
    by_clip = asked(archive)
    for words in ("day", "burst", "minutes:10", "frame"):
        found = asked(archive, Scope("frame", unit=SamplingUnit.of(words)))
        for one, other in zip(found.infants[0].ages, by_clip.infants[0].ages, strict=True):
            frames = 2 if words == "frame" else 1
            assert (one.units, one.present, one.alone) == (
                frames * other.units,
                frames * other.present,
                frames * other.alone,
            )
    assert found.untimed == 0


def test_a_death_ends_the_count_and_an_infant_that_nobody_named_is_said_to_be_so(archive: Database) -> None:
    died = BORN + timedelta(days=30)
    i = s.individual.c
    before = asked(archive)
    try:
        with archive.write() as conn:
            conn.execute(sa.update(s.individual).where(i.anim_id == "FI").values(depart_date=died, depart_type="D"))
        (infant,) = asked(archive).infants
        assert [age.days for age in infant.ages] == [31]
        with archive.write() as conn:
            conn.execute(sa.update(s.individual).where(i.anim_id == "GM").values(birth_date=BORN, mom_id=1))
            conn.execute(sa.update(s.individual).where(i.anim_id == "FI").values(mom_id=None))
        with archive.read() as conn:
            (mother,) = mothers(conn)
            (infant,) = family(conn, mother, CLIPS).infants
        assert (infant.label, infant.named) == ("Gremlin", False)
        assert [age.present for age in infant.ages] == [0, 0]
        assert infant.ages[0].units > 0
    finally:
        with archive.write() as conn:
            conn.execute(sa.update(s.individual).where(i.anim_id == "GM").values(birth_date=None, mom_id=None))
            changed = {"depart_date": None, "depart_type": None, "mom_id": 1}
            conn.execute(sa.update(s.individual).where(i.anim_id == "FI").values(**changed))
    assert asked(archive) == before


def test_before_anything_is_filmed_there_is_no_mother(db: Database) -> None:
    make_world(db, videos=0)
    with db.read() as conn:
        assert mothers(conn) == []


def test_the_third_month_ends_before_its_last_day(db: Database) -> None:
    """Day 92 is the first one of the fourth month: 91 days are 2.99 months."""
    make_world(db, videos=93, tracks=1, frames=2)
    record_events(db, [event("identify", track(day, 0), "FF") for day in range(1, 94)])
    with db.write() as conn:
        is_infant = s.individual.c.anim_id == "FI"
        conn.execute(sa.update(s.individual).where(is_infant).values(birth_date=START.date()))
    first, second = asked(db).infants[0].ages
    assert (first.units, second.units) == (92, 1)

"""The researcher's views against a witness that counts the same study in plain Python, on each database."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import scipy.stats
import sqlalchemy as sa

from chimp_assets.database.connection.engine import Database
from chimp_assets.database.individuals.biographies import upsert_individuals
from chimp_assets.database.individuals.merges import merge_individuals
from chimp_assets.database.labels.events import record_events
from chimp_assets.database.upkeep.views import VIEW_NAMES
from chimp_assets_tests.database.field_study import Study
from chimp_assets_tests.database.study_database import make_study, write_study
from chimp_assets_tests.database.world import START, add_video, event, make_world, track


def rows(db: Database, statement: str, **parameters: Any) -> list[sa.Row[Any]]:
    with db.read() as conn:
        return list(conn.execute(sa.text(statement), parameters))


def near(value: Any) -> Any:
    """To compare sums: databases add in different orders."""
    if isinstance(value, float):
        return pytest.approx(value, abs=1e-9)
    if isinstance(value, tuple):
        return tuple(near(part) for part in value)
    return value


def same(found: dict[Any, tuple[Any, ...]], expected: dict[Any, tuple[Any, ...]]) -> None:
    assert found.keys() == expected.keys()
    for key, row in expected.items():
        assert found[key] == near(row), key


ALL_PROBLEMS = {
    "seen before it was born",
    "seen before it came",
    "seen after it departed",
    "an infant without its mother",
    "a mother without her infant",
    "two communities in one video",
    "one animal twice in one frame",
    "one animal in two places at once",
}


@pytest.fixture(params=[9, 54])
def study(request: pytest.FixtureRequest, db: Database, tmp_path: Path) -> tuple[Database, Study]:
    made = make_study(request.param)
    write_study(db, made, tmp_path)
    return db, made


def test_every_view_says_what_the_witness_counts(study: tuple[Database, Study]) -> None:
    """A view that is wrong is believed: nobody counts 300 individuals by hand to check it."""
    db, expected = study
    _check_sightings(db, expected)
    _check_attendance_and_effort(db, expected)
    _check_groups(db, expected)
    _check_dyads(db, expected)
    _check_families(db, expected)
    _check_trust(db, expected)


def _check_sightings(db: Database, expected: Study) -> None:
    found = {
        (r.anim_id, r.video_id): (
            r.first_s, r.last_s, r.seconds_visible, r.n_frames, r.n_tracks, r.min_probability, r.mean_probability,
            r.human_reviewed, r.site, r.camera, str(r.recorded_on),
        )
        for r in rows(db, "SELECT * FROM v_sighting")
    }  # fmt: skip
    seen = expected.sightings()
    keys = ("first_s", "last_s", "seconds", "n_frames", "n_tracks", "min_p", "mean_p", "reviewed")
    same(
        found,
        {k: (*(r[x] for x in keys), r["video"].site, r["video"].camera, str(r["video"].day)) for k, r in seen.items()},
    )

    ages = {}
    for (name, video_id), r in seen.items():
        life, day = expected.lives[name], r["video"].day
        age = [None if d is None else (day - d).days / 365.25 for d in (life.born, life.bd_max, life.bd_min)]
        named = expected.age_class(life.sex, age[0]) if age[0] is not None else None
        ages[name, video_id] = (life.sex, *age, named)
    found = {
        (r.anim_id, r.video_id): (r.sex, r.age_y, r.age_min, r.age_max, r.age_class)
        for r in rows(db, "SELECT * FROM v_age_at_sighting WHERE scheme = 'gombe'")
    }
    same(found, ages)
    schemes = rows(db, "SELECT DISTINCT scheme FROM v_age_at_sighting")
    assert {r.scheme for r in schemes} == {"gombe", "chimp_and_see"}
    last = expected.last_seen()
    found = {
        r.anim_id: (
            r.first_seen, r.last_seen, r.n_days_seen, r.longest_absence, r.days_unseen, r.effort_days_since,
        )
        for r in rows(db, "SELECT * FROM v_dispersal_last_seen")
    }  # fmt: skip
    same(found, last)


def _check_attendance_and_effort(db: Database, expected: Study) -> None:
    found = rows(db, "SELECT * FROM v_attendance")
    same(
        {(r.anim_id, r.site, r.camera, r.day): (r.present, r.seconds, r.n_videos) for r in found}, expected.attendance()
    )
    for r in found:
        assert r.comm == expected.community(r.anim_id, date.fromisoformat(r.day))
    found = rows(db, "SELECT * FROM v_effort")
    same(
        {(r.site, r.camera, r.day): (r.n_videos, r.recorded_s, r.deployed, r.known_gap) for r in found},
        expected.effort(),
    )
    assert {(r.day, r.day_no) for r in found} == {
        (r.day, date.fromisoformat(r.day).toordinal() + 1721425) for r in found
    }
    assert all(r.usable_s == pytest.approx(r.recorded_s) for r in found)


def _check_groups(db: Database, expected: Study) -> None:
    groups = expected.groups()
    found = rows(db, "SELECT * FROM v_group")
    same(
        {(r.group_rule, r.group_id): (r.n_known, r.n_unknown) for r in found},
        {k: (len(n), u) for k, (n, u) in groups.items()},
    )
    for r in found:
        if r.group_rule == "video":
            spans = [t.span for t in expected.tracks if t.video.video_id == r.group_id and t.animal]
            assert (r.start_s, r.end_s) == (min(a for a, _ in spans), max(b for _, b in spans))
    members: dict[Any, set[str]] = {}
    for r in (gbi := rows(db, "SELECT * FROM v_gbi")):
        members.setdefault((r.group_rule, r.group_id), set()).add(r.anim_id)
    assert len(gbi) == sum(len(names) for names in members.values())
    assert members == {key: names for key, (names, _) in groups.items() if names}


def _check_dyads(db: Database, expected: Study) -> None:
    found = rows(db, "SELECT * FROM v_dyad_video")
    same(
        {(r.anim_id_a, r.anim_id_b, r.video_id): (r.seconds_at_once, r.gap_s, r.p_joint) for r in found},
        expected.dyad_videos(),
    )

    events = rows(db, "SELECT * FROM v_dyad_event")
    days = expected.dyad_days()
    same(
        {
            (r.group_rule, r.anim_id_a, r.anim_id_b, r.unit): (r.together, r.seen_a, r.seen_b, r.seconds_together)
            for r in events
        },
        {
            (rule, a, b, str(day)): (r[rule], r["seen_a"], r["seen_b"], r["seconds"] if r[rule] else 0.0)
            for (a, b, day), r in days.items()
            for rule in ("moment", "video", "day")
        },
    )
    for r in events:
        a, b = expected.lives[r.anim_id_a], expected.lives[r.anim_id_b]
        kin = "mother_offspring" if a.anim_id == b.mom or b.anim_id == a.mom else "other"
        kin = "maternal_siblings" if a.mom and a.mom == b.mom else kin
        assert (r.sex_a, r.sex_b, r.relation) == (a.sex, b.sex, kin)
        assert (r.p_joint is not None) == (r.together == 1)

    dyads = rows(db, "SELECT * FROM v_dyad")
    found = {
        (r.group_rule, r.period, r.anim_id_a, r.anim_id_b): (
            r.x, r.y_a, r.y_b, r.y_ab, r.n_units, r.both_alive, r.seconds_together, r.sri, r.hwi,
        )
        for r in dyads
    }  # fmt: skip
    same(found, expected.dyads())
    for r in dyads:
        if r.sri is not None:
            assert r.sri == pytest.approx(r.x / r.sri_denominator)
            assert r.hwi == pytest.approx(r.x / r.hwi_denominator)


def _check_families(db: Database, expected: Study) -> None:
    found = {
        (r.offspring_anim_id, r.month): (
            r.n_videos, r.n_videos_together, r.seconds_seen, r.seconds_together, r.prop_time_together,
            r.sibling_present, r.orphan,
        )
        for r in rows(db, "SELECT * FROM v_mother_offspring")
    }  # fmt: skip
    same(found, expected.mothers())


def _check_trust(db: Database, expected: Study) -> None:
    found = rows(db, "SELECT * FROM v_id_quality")
    same(
        {(r.slice_kind, r.slice_value): (r.n_train_tracks, r.n_audit, r.n_answered, r.n_correct) for r in found},
        expected.quality(),
    )
    for r in found:
        for share, low, high, n in (
            (r.id_precision, r.id_precision_low, r.id_precision_high, r.n_answered),
            (r.id_recall, r.id_recall_low, r.id_recall_high, r.n_audit),
        ):
            if n == 0:
                assert (share, low, high) == (None, None, None)
                continue
            limits = scipy.stats.binomtest(r.n_correct, n).proportion_ci(method="wilson")
            assert (share, low, high) == near((r.n_correct / n, limits.low, limits.high))
    confused = rows(db, "SELECT * FROM v_confusion_kin")
    assert {(r.true_anim_id, r.predicted_anim_id): r.n for r in confused} == dict(expected.confusion())
    problems = Counter(
        (r.problem, r.anim_id, r.track_id, r.other_anim_id) for r in rows(db, "SELECT * FROM v_plausibility")
    )
    assert problems == expected.problems()


def test_the_studies_hold_every_problem_there_is() -> None:
    """A kind of problem that no study holds is a branch of the view that nobody has checked."""
    for seed in (9, 54):
        found = {problem for problem, *_ in make_study(seed).problems()}
        assert found == ALL_PROBLEMS


@pytest.mark.parametrize("seed", range(100, 104))
def test_any_study_gives_the_dyads_that_counting_gives(sqlite_db: Database, tmp_path: Path, seed: int) -> None:
    """The index of two animals has a dozen edges (days of birth, apart on one day, two tracks of one animal)."""
    expected = make_study(seed, videos=25)
    write_study(sqlite_db, expected, tmp_path)
    _check_dyads(sqlite_db, expected)


def test_association_indices_are_those_of_a_textbook(db: Database) -> None:
    """The witness and the view could share a mistake: these numbers were worked out by hand.

    Six days. FF and GM: together on days 1 and 2; FF alone on day 3; GM alone on days 4 and 5; on day 6 both, at two
    cameras. x = 2, y_a = 1, y_b = 2, y_ab = 1: SRI = 2 / 6, HWI = 2 / (2 + 1 + 1.5) = 4 / 9.
    """
    make_world(db, videos=0)
    shown = [("FF", "GM"), ("FF", "GM"), ("FF",), ("GM",), ("GM",), ("FF",)]
    with db.write() as conn:
        for day in range(1, 7):
            add_video(conn, day, tracks=2, frames=5, camera="cam0")
        add_video(conn, 7, tracks=1, frames=5, camera="cam1", **_moments(6))
    named = [(track(day, n), name) for day, names in enumerate(shown, start=1) for n, name in enumerate(names)]
    record_events(db, [event("identify", track_id, name) for track_id, name in [*named, (track(7), "GM")]])
    for rule in ("moment", "video", "day"):
        (pair,) = rows(
            db,
            "SELECT * FROM v_dyad WHERE group_rule = :rule AND period = 'all' AND individual_a = 1"
            " AND anim_id_b = 'GM'",
            rule=rule,
        )
        assert (pair.x, pair.y_a, pair.y_b, pair.y_ab, pair.n_units, pair.both_alive) == (2, 1, 2, 1, 6, 6)
        assert pair.sri == pytest.approx(2 / 6)
        assert pair.hwi == pytest.approx(4 / 9)
        assert pair.seconds_together == pytest.approx(2.0)
        assert (pair.sri_denominator, pair.hwi_denominator) == (6, 4.5)
    days = rows(db, "SELECT * FROM v_dyad_event WHERE group_rule = 'day' AND anim_id_a = 'FF' AND anim_id_b = 'GM'")
    assert sorted((day.unit, day.together) for day in days) == [
        (f"2013-05-{6 + n:02}", together) for n, together in enumerate((1, 1, 0, 0, 0, 0))
    ]


def test_a_dyad_counts_only_days_on_which_both_were_alive(db: Database) -> None:
    """A mother would otherwise be blamed for not meeting her son in the years before he was born."""
    make_world(db, videos=0)
    upsert_individuals(
        db,
        [
            {"anim_id": "FI", "birth_date": "2013-05-08", "mom_id": "FF"},
            {"anim_id": "FF", "depart_date": "2013-05-10", "depart_type": "D"},
        ],
    )
    with db.write() as conn:
        for day in range(1, 8):
            add_video(conn, day, tracks=2, frames=5, camera="cam0")
    record_events(db, [event("identify", track(day), "FF") for day in range(1, 6)])
    record_events(db, [event("identify", track(day, 1), "FI") for day in (1, 4, 7)])
    (pair,) = rows(db, "SELECT * FROM v_dyad WHERE group_rule = 'video' AND period = '2013-05' AND anim_id_b = 'FI'"
                       " AND anim_id_a = 'FF'")  # fmt: skip
    # Both alive from the 8th to the 10th: together on the 9th; that he was seen on the 6th is a wrong name.
    assert (pair.x, pair.y_a, pair.y_b, pair.y_ab, pair.n_units, pair.both_alive) == (1, 2, 0, 0, 7, 3)


def test_a_biography_has_the_names_of_the_field(db: Database) -> None:
    """Scripts written for SokweDB read these columns; a matriline follows mothers, through a merge as well."""
    make_world(db, videos=0)
    upsert_individuals(
        db,
        [
            {"anim_id": "FLO", "sex": "F", "birth_date": "1929-01-01", "depart_date": "1972-08-23", "depart_type": "D"},
            {"anim_id": "FF", "mom_id": "FLO", "entry_date": "1960-01-01", "entry_type": "C", "first_born": "N"},
            {"anim_id": "FF2", "sex": "F", "provisional": True},
            {"anim_id": "FLI", "sex": "F", "birth_date": "1998-01-01", "mom_id": "FF2"},
        ],
    )
    merge_individuals(db, "FF2", "FF")
    found = {r.animid: r for r in rows(db, "SELECT * FROM v_biography")}
    assert set(found) == {"FLO", "FF", "FI", "FD", "GM", "FLI"}
    assert {n: (r.matriline, r.generation) for n, r in found.items()} == {
        "FLO": ("FLO", 0), "FF": ("FLO", 1), "FI": ("FLO", 2), "FD": ("FLO", 2), "FLI": ("FLO", 2), "GM": ("GM", 0),
    }  # fmt: skip
    assert {found[n].momid for n in ("FI", "FD", "FLI")} == {"FF"}
    flo, fifi = found["FLO"], found["FF"]
    assert (flo.age_is, flo.departtype, str(flo.departdate)) == ("at departure", "D", "1972-08-23")
    assert flo.age_y == pytest.approx((date(1972, 8, 23) - date(1929, 1, 1)).days / 365.25)
    assert (fifi.entrytype, fifi.firstborn, fifi.age_is) == ("C", "N", "today")
    assert fifi.age_y == pytest.approx((date.today() - date(1958, 1, 1)).days / 365.25, abs=0.01)
    assert found["GM"].age_y is None


def test_a_circle_of_mothers_ends_no_query(db: Database) -> None:
    """Two databases would go round for ever and one would stop with an error: whoever is in the circle has no line."""
    make_world(db, videos=0)
    with db.write() as conn:
        child = conn.scalar(sa.text("SELECT individual_id FROM individual WHERE anim_id = 'FI'"))
        conn.execute(sa.text("UPDATE individual SET mom_id = :child WHERE anim_id = 'FF'"), {"child": child})
    assert {r.matriline for r in rows(db, "SELECT * FROM v_matriline")} == {"GM"}
    assert {r.animid: r.matriline for r in rows(db, "SELECT * FROM v_biography")}["FF"] is None


def test_whole_numbers_and_fractions_have_plain_types_everywhere(postgresql_db: Database, tmp_path: Path) -> None:
    """PostgreSQL adds whole numbers up to decimals; a data frame with them is a column of objects."""
    write_study(postgresql_db, make_study(3), tmp_path)
    for name in VIEW_NAMES:
        for row in rows(postgresql_db, f"SELECT * FROM {name}")[:50]:
            assert not [key for key, value in row._mapping.items() if isinstance(value, Decimal)], name


def _moments(day: int) -> dict[str, Any]:
    at = START + timedelta(days=day - 1)
    return {"recorded_at": at, "recorded_on": at.date()}

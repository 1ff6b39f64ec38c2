"""The cookbook: every question is answered on each database, by the same rows, and asked as its header says."""

from __future__ import annotations

import csv
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from chimp_assets.database.connection.engine import Database
from chimp_assets.database.individuals.aliases import add_alias
from chimp_assets.database.individuals.batch import Terms
from chimp_assets.database.individuals.biographies import upsert_individuals
from chimp_assets.database.individuals.merges import merge_individuals
from chimp_assets.insight.questions import (
    TOPICS,
    Answer,
    QuestionError,
    ask,
    parameters_of,
    question,
    questions,
    write_csv,
    write_picture,
)
from chimp_assets.settings import shipped_file
from chimp_assets_tests.database.field_study import Study
from chimp_assets_tests.database.study_database import make_study, write_study

NAMES = [one.name for one in questions()]
# What the studies cannot have: heads that were evaluated.
WITHOUT_ROWS = {"accuracy_of_heads"}
# Ids by which a study is asked, where the default names somebody of the demo.
ASKED: dict[str, dict[str, Any]] = {
    "association_around_a_birth": {"infant": "BB", "group_rule": "day"},
    "mother_and_infant": {"infant": "FI"},
}


@pytest.fixture
def study(db: Database, tmp_path: Path) -> tuple[Database, Study]:
    made = make_study(9)
    write_study(db, made, tmp_path)
    return db, made


def test_every_question_is_answered(study: tuple[Database, Study]) -> None:
    """A query that one database refuses, or that finds nothing where there is something, is a promise broken."""
    db, _ = study
    upsert_individuals(db, [{"anim_id": "XX", "mom_id": "G2"}])  # so that G1 has a grandchild
    for name in NAMES:
        answer = ask(db, name, ASKED.get(name))
        assert bool(answer.rows) == (name not in WITHOUT_ROWS), name
        assert len(set(answer.columns)) == len(answer.columns), name


def test_answers_are_those_of_counting(study: tuple[Database, Study]) -> None:
    """The cookbook adds to the views: sums, ranks and signs that no test of a view sees."""
    db, made = study
    sightings, pairs = made.sightings(), made.dyad_videos()

    with_fifi = {}
    for (a, b, _), (_, gap, _) in pairs.items():
        if "FF" in (a, b) and gap <= 2:
            partner = b if a == "FF" else a
            with_fifi[partner] = with_fifi.get(partner, 0) + 1
    answer = ask(db, "seen_with_whom", {"individual": "FF", "seconds": "2"})
    assert {row["partner"]: row["n_videos"] for row in answer.as_records()} == with_fifi
    assert [row["place"] for row in answer.as_records()] == list(range(1, len(with_fifi) + 1))

    degree: dict[str, int] = {}
    for (rule, period, a, b), row in made.dyads().items():
        if rule == "video" and period == "all" and row[-1] is not None:
            for name in (a, b):
                degree[name] = degree.get(name, 0) + (row[0] > 0)
    answer = ask(db, "most_partners", {"limit": 50})
    assert {r["anim_id"]: r["degree"] for r in answer.as_records()} == degree

    parties = [len(names) for (rule, _), (names, _) in made.groups().items() if rule == "day"]
    answer = ask(db, "party_size_by_month")
    assert sum(row["n_parties"] for row in answer.as_records()) == len(parties)
    assert max(row["largest_named"] for row in answer.as_records()) == max(parties)

    answer = ask(db, "sightings_by_month", {"individual": "FF"})
    assert sum(row["n_videos"] for row in answer.as_records()) == sum(name == "FF" for name, _ in sightings)
    assert {row["anim_id"] for row in ask(db, "sightings_by_month").as_records()} == {name for name, _ in sightings}

    trained = {name: counts[0] for (kind, name), counts in made.quality().items() if kind == "individual"}
    answer = ask(db, "too_few_labels", {"enough": 2})
    assert {r["anim_id"]: r["n_train_tracks"] for r in answer.as_records()} == {
        n: k for n, k in trained.items() if k < 2
    }
    answer = ask(db, "implausible_sightings", {"limit": 1000})
    assert len(answer.rows) == sum(made.problems().values())
    answer = ask(db, "effort_by_camera")
    assert sum(row["silent_days"] for row in answer.as_records()) == sum(r[0] == 0 for r in made.effort().values())


def test_shares_and_firsts_are_those_of_counting(study: tuple[Database, Study]) -> None:
    """Shares have a denominator: days in the study, its own videos, company with and without a name."""
    db, made = study
    sightings, of = made.sightings(), {v.video_id: v for v in made.videos}
    seen = {
        name: {of[v].day for n, v in sightings if n == name and made.lives[n].alive(of[v].day)} for name, _ in sightings
    }
    shares = {n: len(days) / sum(made.lives[n].alive(d) for d in made.days) for n, days in seen.items() if days}
    found = ask(db, "residency").as_records()
    assert {row["anim_id"]: row["share_of_days"] for row in found} == pytest.approx(shares)
    assert all(0 <= row["low"] <= row["share_of_days"] <= row["high"] <= 1 for row in found)
    curve = ask(db, "known_after_days").as_records()
    first = sorted(min(days) for days in seen.values() if days)
    assert [row["n_known"] for row in curve] == [sum(f <= d for f in first) for d in sorted(set(first))]
    assert [made.days[row["n_days"] - 1] for row in curve] == sorted(set(first))
    gaps = {n: [(b - a).days for a, b in pairwise(sorted(days))] for n, days in seen.items() if len(days) > 1}
    found = ask(db, "time_between_sightings").as_records()
    assert {r["anim_id"]: (r["n_gaps"], r["longest_days"]) for r in found} == {
        n: (len(g), max(g)) for n, g in gaps.items()
    }

    alone: dict[str, list[int]] = {}
    for (rule, _), (names, nameless) in made.groups().items():
        for name in names if rule == "video" else ():
            alone.setdefault(name, []).append(int(len(names) == 1 and nameless == 0))
    found = ask(db, "seen_alone").as_records()
    assert {r["anim_id"]: (r["n_videos"], r["n_alone"]) for r in found} == {
        n: (len(a), sum(a)) for n, a in alone.items()
    }
    cameras = {(n, of[v].site, of[v].camera) for n, v in sightings}
    found = ask(db, "home_range").as_records()
    assert {(r["anim_id"], r["site"], r["camera"]) for r in found} == cameras
    assert sum(r["share_of_its_videos"] for r in found) == pytest.approx(len({n for n, _ in sightings}))
    (birth,) = ask(db, "inter_birth_intervals").as_records()
    assert (birth["mother"], birth["elder"], birth["younger"]) == ("FF", "FD", "FI")
    assert birth["interval_y"] == pytest.approx((made.lives["FI"].born - made.lives["FD"].born).days / 365.25)  # type: ignore[operator]


def test_pairs_of_a_question_are_those_of_the_indices(study: tuple[Database, Study]) -> None:
    """Ties of males and those who never met are chosen from everybody's; a condition too many hides a pair."""
    db, made = study
    dyads = {(a, b): row for (rule, period, a, b), row in made.dyads().items() if (rule, period) == ("day", "all")}
    sex = {name: life.sex for name, life in made.lives.items()}
    met = {pair for pair, row in dyads.items() if row[0] > 0 and {sex[name] for name in pair} == {"M"}}
    found = ask(db, "ties_among", {"group_rule": "day"}).as_records()
    assert {(r["anim_id_a"], r["anim_id_b"]) for r in found} == met
    never = {pair for pair, r in dyads.items() if r[0] == 0 and r[1] + r[3] >= 2 and r[2] + r[3] >= 2}
    found = ask(db, "never_together", {"limit": 100}).as_records()
    assert {(r["anim_id_a"], r["anim_id_b"]) for r in found} == never
    kin = ask(db, "ties_by_kin", {"group_rule": "day"}).as_records()
    assert sum(row["n_pairs"] for row in kin) == sum(row[-1] is not None for row in dyads.values())


def test_a_network_before_and_after_a_birth(study: tuple[Database, Study]) -> None:
    """The mission's question: it must count days before the birth and from it on, of the mother, without the infant."""
    db, made = study
    answer = ask(db, "association_around_a_birth", {"infant": "BB", "days": 100, "group_rule": "day"})
    born = made.lives["BB"].born
    assert born is not None
    expected: dict[str, list[int]] = {}
    for (a, b, day), row in made.dyad_days().items():
        if "ZU" in (a, b) and "BB" not in (a, b) and -100 <= (day - born).days < 100:
            counts = expected.setdefault(b if a == "ZU" else a, [0, 0, 0, 0])
            after = 2 if day >= born else 0
            counts[after] += row["day"]
            counts[after + 1] += 1
    found = {
        r["partner"]: [r["x_before"], r["units_before"], r["x_after"], r["units_after"]] for r in answer.as_records()
    }
    assert found == expected


@pytest.mark.parametrize("name", NAMES)
def test_a_header_says_what_the_query_takes(name: str) -> None:
    """A parameter that the header forgets cannot be set; one that the query forgot does nothing."""
    asked = question(name)
    code = re.sub(r"--[^\n]*|'[^']*'", " ", asked.statement)
    assert {p.name for p in asked.parameters} == set(re.findall(r"(?<![\w:]):([a-z_]+)", code))
    assert asked.asks.endswith("?")
    assert all(p.what for p in asked.parameters)


def test_parameters_are_read_as_their_types() -> None:
    """From a command line everything is text: '5' must not be compared with numbers as text."""
    assert parameters_of(["limit=5", "one=A=B"]) == {"limit": "5", "one": "A=B"}
    limit = next(p for p in question("last_seen").parameters if p.name == "limit")
    assert (limit.kind, limit.default, limit.required) == ("integer", 20, False)


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("last_sen", {}, "Did you mean last_seen"),
        ("last_seen", {"limits": "5"}, "It takes min_days=0, limit=20"),
        ("last_seen", {"limit": "five"}, "whole number"),
        ("last_seen", {"limit": 2.5}, "whole number"),
        ("together_within", {"seconds": "soon"}, "a number"),
    ],
)
def test_a_wrong_question_is_an_error_in_words(
    sqlite_db: Database, name: str, given: dict[str, Any], says: str
) -> None:
    """Who mistypes a parameter must not get everybody's rows instead."""
    with pytest.raises(QuestionError) as error:
        ask(sqlite_db, name, given)
    assert says in f"{error.value.sentence} {error.value.remedy}"
    with pytest.raises(QuestionError, match="--set"):
        parameters_of(["limit"])


def test_quotes_in_a_parameter_are_text(sqlite_db: Database) -> None:
    """Values are bound, never pasted."""
    assert ask(sqlite_db, "seen_with_whom", {"individual": "'; DROP TABLE video; --"}).rows == []


@pytest.mark.parametrize("spelling", ["FF", "ff", " Ff ", "fifi", "FIFI", "old fifi", "NEW-FF"])
def test_an_individual_is_found_however_it_is_spelt(study: tuple[Database, Study], spelling: str) -> None:
    """`--set individual=ff` found no rows, which reads as: she was never seen."""
    db, _ = study
    wanted = ask(db, "seen_with_whom", {"individual": "FF"}).rows
    upsert_individuals(db, [{"anim_id": "FF", "name": "Fifi"}, {"anim_id": "NEW-FF", "sex": "F", "provisional": True}])
    add_alias(db, "FF", "Old Fifi", None, None, Terms())
    merge_individuals(db, "NEW-FF", "FF")
    answer = ask(db, "seen_with_whom", {"individual": spelling})
    assert (answer.rows, answer.parameters["individual"], answer.unknown) == (wanted, "FF", [])


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("seen_with_whom", {"individual": "FFF"}, "There is no individual 'FFF'. Did you mean FF?"),
        ("fred_with_mother", {"child": "FI", "mother": "nobody"}, "There is no individual 'nobody'."),
        ("most_partners", {"group_rule": "videos"}, "group_rule is not 'videos'; there are moment, video, day."),
        ("attendance_by_day", {"camera": "cam77"}, "There is no camera 'cam77'; there are cam"),
        ("accuracy_of_heads", {"metric": "top2"}, "there are top1, top5"),
    ],
)
def test_who_or_what_is_unknown_is_said(
    study: tuple[Database, Study], name: str, given: dict[str, Any], says: str
) -> None:
    """No rows is an answer only to a question about somebody."""
    db, _ = study
    answer = ask(db, name, given)
    assert answer.rows == []
    assert says in " ".join(answer.unknown)


def test_a_choice_is_found_in_any_case(study: tuple[Database, Study]) -> None:
    """Video is video."""
    db, _ = study
    assert ask(db, "most_partners", {"group_rule": "Video"}).rows == ask(db, "most_partners").rows


def test_no_cell_of_an_answer_is_a_formula(sqlite_db: Database, tmp_path: Path) -> None:
    """A spreadsheet ran the name of an animal."""
    answer = Answer(question("last_seen"), {}, ["=name", "n"], [("=cmd|' /C calc'!A0", -1), ("@x", 1.5), ("+1", None)])
    write_csv(answer, tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as stream:
        assert list(csv.reader(stream)) == [["'=name", "n"], ["'=cmd|' /C calc'!A0", "-1"], ["'@x", "1.5"], ["'+1", ""]]


def test_an_answer_is_a_csv_file(sqlite_db: Database, tmp_path: Path) -> None:
    """What R and a spreadsheet read: a header, UTF-8, nothing for null."""
    answer = Answer(question("last_seen"), {}, ["anim_id", "last_seen"], [("ÉLAN, 2", None)])
    write_csv(answer, tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as stream:
        assert list(csv.reader(stream)) == [["anim_id", "last_seen"], ["ÉLAN, 2", ""]]
    with pytest.raises(QuestionError, match="cannot be written"):
        write_csv(answer, tmp_path / "nowhere" / "a.csv")


def test_a_picture_is_written_where_there_is_one(study: tuple[Database, Study], tmp_path: Path) -> None:
    """`chimp query --plot`: a file, or a sentence why there is none."""
    db, _ = study
    write_picture(ask(db, "residency"), tmp_path / "a.svg")
    drawn = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert drawn.startswith("<svg ")
    assert all(row["anim_id"] in drawn for row in ask(db, "residency").as_records())
    with pytest.raises(QuestionError, match="has no picture"):
        write_picture(ask(db, "implausible_sightings"), tmp_path / "b.svg")
    with pytest.raises(QuestionError, match="nothing to draw"):
        write_picture(ask(db, "home_range", {"individual": "nobody"}), tmp_path / "b.svg")
    with pytest.raises(QuestionError, match="cannot be written"):
        write_picture(ask(db, "residency"), tmp_path / "nowhere" / "b.svg")


def test_an_answer_may_be_cut_and_says_so(study: tuple[Database, Study]) -> None:
    db, _ = study
    whole = ask(db, "residency")
    assert not whole.cut
    first = ask(db, "residency", most_rows=2, most_seconds=60)
    assert (first.rows, first.cut) == (whole.rows[:2], True)
    assert not ask(db, "residency", most_rows=len(whole.rows)).cut


def test_the_pages_show_every_question_with_its_topic() -> None:
    """`make questions` makes them; a new question must not be missing there."""
    docs = shipped_file("sql").parent / "docs" / "research" / "questions"
    pages = {topic: (docs / f"{topic}.md").read_text(encoding="utf-8") for topic in TOPICS}
    assert [one.name for one in questions() if f"chimp query {one.name}" not in pages[one.topic]] == []

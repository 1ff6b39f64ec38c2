"""What people say about "is this X?": denied, agreed or open, whatever is taken back, cut, joined or merged."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Any

import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as s
from chimp_assets.database.connection.engine import Database
from chimp_assets.database.individuals.merges import merge_individuals, merged_ids, unmerge_individual
from chimp_assets.database.labels.events import LabelEvent, record_events
from chimp_assets.database.labels.evidence import chance_of, evidence_of, tracks_with_evidence
from chimp_assets.database.people.users import add_user
from chimp_assets.database.upkeep.invariants import evidence_that_does_not_follow
from chimp_assets_tests.database.world import event, make_world, track

T = track(1)


def kept(db: Database) -> dict[tuple[int, str], tuple[int, int, str]]:
    """(yes, no, state) by track and code of the individual."""
    e, i = s.track_evidence.c, s.individual.c
    with db.read() as conn:
        rows = conn.execute(
            sa.select(e.track_id, i.anim_id, e.n_yes, e.n_no, e.state).join_from(
                s.track_evidence, s.individual, i.individual_id == e.individual_id
            )
        )
        return {(row.track_id, row.anim_id): (row.n_yes, row.n_no, row.state) for row in rows}


def said(db: Database, kind: str, anim_id: str, who: str, track_id: int = T, **more: Any) -> LabelEvent:
    one = event(kind, track_id, anim_id, annotator=who, **more)
    (result,) = record_events(db, [one])
    assert result.status == "stored", result
    return one


def yes(db: Database, who: str, anim_id: str = "FF", track_id: int = T) -> LabelEvent:
    return said(db, "is_individual", anim_id, who, track_id)


def no(db: Database, who: str, anim_id: str = "FF", track_id: int = T) -> LabelEvent:
    return said(db, "not_individual", anim_id, who, track_id)


def test_two_volunteers_deny_what_one_who_names_animals_does(db: Database) -> None:
    """One volunteer's slip must not take a name away."""
    make_world(db)
    first = no(db, "vera")
    assert kept(db) == {(T, "FF"): (0, 1, "open")}
    no(db, "vera")
    assert kept(db) == {(T, "FF"): (0, 1, "open")}, "one person counts once"
    no(db, "vito")
    assert kept(db) == {(T, "FF"): (0, 2, "denied")}
    record_events(db, [event("retract", supersedes=first.annotation_id, annotator="vera")])
    assert kept(db) == {(T, "FF"): (0, 2, "denied")}, "she said it twice"
    no(db, "rita", "GM")
    assert kept(db)[T, "GM"] == (0, 1, "denied")


def test_two_people_agree_unless_somebody_denies_it(db: Database) -> None:
    """A name by volunteers needs two of them and no voice against."""
    make_world(db)
    yes(db, "vera")
    against = no(db, "vito")
    yes(db, "anna")
    assert kept(db) == {(T, "FF"): (2, 1, "open")}
    record_events(db, [event("retract", supersedes=against.annotation_id)])
    assert kept(db) == {(T, "FF"): (2, 0, "agreed")}
    with db.read() as conn:
        chance = conn.scalar(sa.select(s.track_evidence.c.probability))
    assert chance == pytest.approx(chance_of(2), abs=1e-6)
    assert chance_of(2) == pytest.approx(0.96**2 / (0.96**2 + 0.04**2))
    assert no(db, "anna").kind == "not_individual"
    assert kept(db) == {(T, "FF"): (1, 1, "denied")}, "her newest word counts"


def test_a_track_that_two_people_each_call_another_is_neither(db: Database) -> None:
    """Two agreed names of one track would name it twice in every list."""
    make_world(db)
    add_user(db, "vic", "volunteer")
    for who in ("vera", "vito"):
        yes(db, who, "FF")
    other = [yes(db, who, "GM") for who in ("vera", "vic")]
    assert {state for _, _, state in kept(db).values()} == {"open"}
    record_events(db, [event("retract", supersedes=other[0].annotation_id)])
    assert kept(db) == {(T, "FF"): (2, 0, "agreed"), (T, "GM"): (1, 0, "open")}


def test_evidence_must_say_of_which_track_and_individual(db: Database) -> None:
    """Each refusal is a sentence for its author; nothing of it is stored."""
    make_world(db)
    results = record_events(
        db,
        [
            event("not_individual", T),
            event("is_individual", T, "XX"),
            event("is_individual", None, "FF"),
            event("not_individual", T, "FF", annotator="lotte"),
            event("not_individual", T, "ff"),
        ],
    )
    assert [one.reason for one in results] == [
        "not_individual needs an anim_id",
        "there is no individual 'XX'",
        "an answer of kind 'is_individual' needs a track",
        "the user 'lotte' may look but not answer",
        None,
    ]
    assert kept(db) == {(T, "FF"): (0, 1, "denied")}
    again = event("not_individual", T, "FF")
    stored = record_events(db, [again, again, event("is_individual", T, "FF", annotation_id=again.annotation_id)])
    assert [one.status for one in stored] == ["stored", "duplicate", "rejected"]


def test_what_was_said_of_a_track_counts_for_its_heirs(db: Database) -> None:
    """None of the parts of what is not X is X; that the whole is X says nothing of a part."""
    make_world(db)
    no(db, "anna", "GM")
    for who in ("vera", "vito"):
        yes(db, who, "FF")
    cut = event("split", T, frame_no=5)
    record_events(db, [cut])
    with db.read() as conn:
        parts = list(conn.scalars(sa.select(s.track.c.track_id).where(s.track.c.parent_track_id == T)))
    assert kept(db) == {(part, "GM"): (0, 1, "denied") for part in parts}
    record_events(db, [event("merge", parts[0], other_track_id=track(1, 1))])
    with db.read() as conn:
        (whole,) = conn.scalars(sa.select(s.track_heir.c.heir_track_id).where(s.track_heir.c.track_id == track(1, 1)))
    assert kept(db) == {(one, "GM"): (0, 1, "denied") for one in (whole, parts[1])}
    # Who was offline speaks of the track that she saw.
    no(db, "rita", "FI", track_id=track(1, 1))
    assert kept(db)[whole, "FI"] == (0, 1, "denied")
    with db.write() as conn:
        assert evidence_that_does_not_follow(conn) == []
        conn.execute(sa.delete(s.track_evidence).where(s.track_evidence.c.track_id == parts[1]))
        assert evidence_that_does_not_follow(conn) == [parts[1]]


def test_a_cut_that_is_taken_back_gives_everything_back(db: Database) -> None:
    """The whole is X again, and what was said of a part alone is not said of the whole."""
    make_world(db)
    for who in ("vera", "vito"):
        yes(db, who, "FF")
    no(db, "anna", "GM")
    before = kept(db)
    cut = event("split", T, frame_no=5)
    record_events(db, [cut])
    with db.read() as conn:
        part = conn.scalar(sa.select(sa.func.min(s.track.c.track_id)).where(s.track.c.parent_track_id == T))
    no(db, "anna", "FI", track_id=part)
    record_events(db, [event("retract", supersedes=cut.annotation_id)])
    assert kept(db) == before


def test_evidence_follows_whom_an_individual_becomes(db: Database) -> None:
    """A volunteer who knew her by the working name spoke of the same animal."""
    make_world(db)
    yes(db, "vera", "FF")
    yes(db, "vito", "GM")
    merge_individuals(db, "GM", "FF")
    assert kept(db) == {(T, "FF"): (2, 0, "agreed")}
    no(db, "anna", "GM")
    assert kept(db) == {(T, "FF"): (2, 1, "denied")}
    unmerge_individual(db, "GM")
    assert kept(db) == {(T, "FF"): (1, 0, "open"), (T, "GM"): (1, 1, "denied")}


def test_the_machine_never_says_what_was_denied(db: Database) -> None:
    """Also where the head knows the individual by the name that was merged away."""
    make_world(db)
    with db.write() as conn:
        ids = {row.anim_id: row.individual_id for row in conn.execute(sa.select(s.individual))}
        conn.execute(
            sa.insert(s.prediction),
            [
                {"model_id": 2, "track_id": one, "rank": 1, "individual_id": ids["GM"], "probability": 0.9}
                for one in (T, track(1, 1))
            ],
        )
    merge_individuals(db, "GM", "FF")
    no(db, "anna", "FF")

    def names() -> list[tuple[int, str, str]]:
        with db.read() as conn:
            return [tuple(row) for row in conn.execute(sa.text("SELECT track_id, anim_id, source FROM v_named_track"))]

    assert names() == [(track(1, 1), "FF", "model")]
    with db.read() as conn:
        status = "SELECT status FROM v_track_identity WHERE track_id = :track"
        assert list(conn.scalars(sa.text(status), {"track": T})) == ["unlabelled"]
    for who in ("vera", "vito"):
        yes(db, who, "FI")
    assert sorted(names()) == [(T, "FI", "volunteers"), (track(1, 1), "FF", "model")]


@pytest.mark.parametrize("seed", range(3))
def test_what_is_kept_is_what_all_events_say(db: Database, seed: int) -> None:
    """Whatever comes in which order: a table that is kept a little wrong is wrong for good."""
    make_world(db)
    add_user(db, "ida", "identifier")
    rng, words = random.Random(seed), list[LabelEvent]()
    people, tracks, codes = ("anna", "ida", "vera", "vito"), [T, track(1, 1), track(2)], ("FF", "FI", "GM")
    role = {"anna": "expert", "ida": "identifier", "vera": "volunteer", "vito": "volunteer"}
    gone: set[str] = set()
    states = set()
    for step in range(30):
        batch = []
        for _ in range(rng.randint(1, 3)):
            who = rng.choice(people)
            mine = [one for one in words if one.annotator == who and one.annotation_id not in gone]
            if mine and rng.random() < 0.3:
                back = rng.choice(mine)
                gone.add(back.annotation_id)
                batch.append(event("retract", annotator=who, supersedes=back.annotation_id))
            else:
                kind = rng.choice(("is_individual", "is_individual", "not_individual"))
                one = event(kind, rng.choice(tracks), rng.choice(codes), annotator=who)
                words.append(one)
                batch.append(one)
        assert all(result.status == "stored" for result in record_events(db, batch))
        if step == 10:
            merge_individuals(db, "FI", "FF", force=True)
        if step == 20:
            unmerge_individual(db, "FI")
        with db.read() as conn:
            same = merged_ids(conn)
            ids = {row.anim_id: row.individual_id for row in conn.execute(sa.select(s.individual))}
            of = {key: code for code, key in ids.items()}
            _, found = evidence_of(conn, tracks_with_evidence(conn))
            assert evidence_that_does_not_follow(conn) == []
        naive = naively(words, gone, {code: of[same.get(key, key)] for code, key in ids.items()}, role)
        assert kept(db) == naive
        assert {(one.track_id, of[one.individual_id]): (one.n_yes, one.n_no, one.state) for one in found} == naive
        states |= {state for _, _, state in naive.values()}
    assert states == {"open", "agreed", "denied"}, "a world without one of them proves nothing"


def naively(
    words: list[LabelEvent], gone: set[str], whom: dict[str, str], role: dict[str, str]
) -> dict[tuple[int, str], tuple[int, int, str]]:
    """The rule in other words, from the events in their order."""
    newest: dict[tuple[int, str], dict[str, str]] = defaultdict(dict)
    for one in words:
        if one.annotation_id not in gone:
            assert one.track_id is not None
            assert one.anim_id is not None
            newest[one.track_id, whom[one.anim_id]][one.annotator] = one.kind
    found = {}
    for key, of in newest.items():
        against = [who for who, kind in of.items() if kind == "not_individual"]
        agree = len(of) - len(against)
        state = "open"
        if len(against) > 1 or {role[who] for who in against} - {"volunteer"}:
            state = "denied"
        elif agree > 1 and not against:
            state = "agreed"
        found[key] = (agree, len(against), state)
    for about in {track_id for track_id, _ in found}:
        agreed = [key for key, value in found.items() if key[0] == about and value[2] == "agreed"]
        if len(agreed) > 1:
            found |= {key: (*found[key][:2], "open") for key in agreed}
    return found

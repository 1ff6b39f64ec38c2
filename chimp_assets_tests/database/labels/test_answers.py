"""Which answer stands: the best role, then the newest, nothing that was taken back; now and as of a watermark."""

from __future__ import annotations

import random

import sqlalchemy as sa

from chimp_assets.database.connection.engine import Database
from chimp_assets.database.labels.answers import effective_answers, effective_pair_answers
from chimp_assets.database.labels.events import LabelEvent, last_seq, record_events
from chimp_assets_tests.database.labels.reading import A, B, standing
from chimp_assets_tests.database.world import (
    event,
    make_world,
    track,
)  # fmt: skip


def test_the_expert_wins_over_later_voices_and_a_later_answer_over_an_earlier_one(db: Database) -> None:
    """A volunteer's slip must not undo the expert's name."""
    make_world(db)
    t = track(1)
    record_events(
        db,
        [
            event("identify", t, "FF", annotator="vera"),
            event("identify", t, "GM", annotator="vito"),
        ],
    )
    assert standing(db) == {t: "identify"}
    record_events(db, [event("unknown", t, annotator="rita"), event("identify", t, "FF", annotator="vera")])
    assert standing(db) == {t: "unknown"}
    record_events(db, [event("cannot_tell", t), event("unknown", t, annotator="rita")])
    assert standing(db) == {t: "cannot_tell"}


def test_a_past_moment_can_be_read_again_exactly(db: Database) -> None:
    """A training set is rebuilt from its watermark, with the retractions of that time and no later ones."""
    make_world(db)
    first, second = event("unknown", track(1)), event("not_animal", track(1))
    record_events(db, [first, second, event("retract", supersedes=second.annotation_id), event("skip", track(1, 1))])
    moments = [standing(db, watermark) for watermark in (0, 1, 2, 3, 4, None)]
    t = track(1)
    assert moments == [{}, {t: "unknown"}, {t: "not_animal"}, {t: "unknown"}, {t: "unknown"}, {t: "unknown"}]


def test_what_is_kept_as_standing_is_what_follows_from_all_events(db: Database) -> None:
    """Every page reads what is kept; a track with another answer than its events say would be wrong everywhere."""
    make_world(db)
    rng, said = random.Random(6), list[LabelEvent]()
    people, tracks = ("anna", "rita", "vera"), [track(1), track(1, 1), track(2)]
    for _ in range(40):
        batch = []
        for _ in range(rng.randint(1, 4)):
            who, about = rng.choice(people), rng.choice(tracks)
            mine = [one for one in said if one.annotator == who]
            kinds = (
                "identify",
                "unknown",
                "bad_box",
                "cannot_tell",
                "skip",
                "pair",
                *(["retract"] * 3 if mine else []),
            )
            match rng.choice(kinds):
                case "retract":
                    batch.append(event("retract", annotator=who, supersedes=rng.choice(mine).annotation_id))
                case "identify":
                    batch.append(event("identify", about, rng.choice(("FF", "FI", "GM")), annotator=who))
                case "pair":
                    batch.append(event("cannot_tell", tracks[0], annotator=who, other_track_id=tracks[2]))
                case kind:
                    batch.append(event(kind, about, annotator=who))
        results = record_events(db, batch)
        said += [
            one
            for one, result in zip(batch, results, strict=True)
            if result.status == "stored" and one.kind != "retract"
        ]
        with db.read() as conn:
            kept = conn.execute(effective_answers().order_by(sa.text("track_id"))).all()
            follow = conn.execute(effective_answers(last_seq(conn)).order_by(sa.text("track_id"))).all()
            assert kept == follow
            assert [row.annotation_id for row in kept] == list(
                conn.scalars(sa.text("SELECT annotation_id FROM v_effective_answer ORDER BY track_id"))
            )
    assert {kind for kind in standing(db).values()} != {"identify"}, "a world in which all say one thing proves nothing"


def test_of_two_answers_about_a_pair_the_better_role_stands_then_the_newer(db: Database) -> None:
    """Which way round the two were shown must not make two questions of one."""
    make_world(db)
    by_expert = event("different", A, other_track_id=B)
    record_events(db, [by_expert, event("same", B, other_track_id=A, annotator="vera")])

    def stands(watermark: int | None = None) -> list[str]:
        with db.read() as conn:
            return [row.kind for row in conn.execute(effective_pair_answers(watermark))]

    assert stands() == ["different"]
    record_events(db, [event("retract", supersedes=by_expert.annotation_id)])
    assert stands() == ["same"]
    assert stands(2) == ["different"]
    record_events(db, [event("cannot_tell", A, other_track_id=B, annotator="vito")])
    assert stands() == ["cannot_tell"]

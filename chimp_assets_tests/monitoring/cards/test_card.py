"""A card says what SQL says, is written at each promotion, and made anew where a process died before it."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from chimp_assets.database import schema as t
from chimp_assets.home import Home
from chimp_assets.monitoring.alerts import open_alert
from chimp_assets.monitoring.cards.card import CardError, keep_cards, key_of, model_card, save_card, stored_card
from chimp_assets.monitoring.cards.card_text import as_markdown
from chimp_assets.vision.datasets.training_set import Members, member_bytes
from chimp_assets.vision.evaluation.promotion import promote_by_hand, roll_back
from chimp_assets.vision.models.checkpoint import ModelError, content_hash
from chimp_assets_tests.support.rows import THEN, add_bundle, add_model, add_track, add_video

EMBEDDER, HEAD, OTHER = 2, 3, 4


@pytest.fixture
def taught(home: Home) -> Home:
    """A head that learned from four tracks of three videos, measured and examined, with an alert open."""
    db = home.database
    add_model(db, 1, "detector")
    add_bundle(db, 1)
    for number in (1, 2, 3):
        add_video(db, number, 1, "tracked")
    tracks = [add_track(db, number, ordinal) for number, ordinal in ((1, 1), (1, 2), (2, 1), (3, 1))]
    members = Members(np.array(tracks), np.array([1, 2, 1, 2]), ["a", "b", "c", "d"], ["x", "x", "y", "z"])
    home.store.put("training_sets/head.csv", member_bytes(members))
    with db.write() as conn:
        for number, day in ((1, date(2026, 3, 1)), (2, date(2026, 3, 1)), (3, date(2026, 3, 2))):
            conn.execute(sa.update(t.video).where(t.video.c.video_id == number).values(recorded_on=day))
        conn.execute(
            sa.insert(t.training_set).values(
                training_set_id=9, task="head", watermark_seq=40, split_seed=7, n_tracks=4, n_classes=2,
                member_uri="training_sets/head.csv", member_hash=content_hash(member_bytes(members)), created_at=THEN,
            )
        )  # fmt: skip
    add_model(db, EMBEDDER, "embedder")
    add_model(db, HEAD, "head", training_set_id=9, parent_id=EMBEDDER)
    add_model(db, OTHER, "head", state="retired", training_set_id=9, parent_id=EMBEDDER)
    config = {"weights": "lite.pth", "weights_sha256": "ab", "licence": "Apache-2.0"}
    with db.write() as conn:
        conn.execute(sa.update(t.model).where(t.model.c.model_id == EMBEDDER).values(config=json.dumps(config)))
        measured = {
            "model_id": HEAD, "dataset": "audit", "created_at": THEN, "n": 50, "watermark_seq": 40, "name": "top1",
            "slice_kind": "all", "slice_value": "", "ci_low": 0.7, "ci_high": 0.9, "about": None, "blocks": None,
        }  # fmt: skip
        conn.execute(
            sa.insert(t.evaluation_metric),
            [
                {**measured, "value": 0.9, "watermark_seq": 30},
                {**measured, "value": 0.8125, "about": "days", "blocks": 8},
                {**measured, "value": 0.5, "slice_kind": "individual", "slice_value": "F|F", "n": 2},
            ],
        )
        group = {
            "model_id": HEAD, "watermark_seq": 40, "slice_kind": "age_class", "name": "recall", "n": 20, "blocks": 5,
            "created_at": THEN,
        }  # fmt: skip
        conn.execute(
            sa.insert(t.fairness_metric),
            [
                {**group, "slice_value": "infant", "value": 0.4, "low": 0.2, "high": 0.6, "state": "worse"},
                {**group, "slice_value": "adult", "value": 0.9, "low": 0.8, "high": 0.95, "state": "same"},
            ],
        )
        open_alert(
            conn, kind="data", signal="brightness", camera="cam", since=date(2026, 3, 1), noticed=date(2026, 3, 9),
            size=-2.0,
        )  # fmt: skip
    return home


def answers(home: Home, text: str) -> list[tuple[object, ...]]:
    with home.database.read() as conn:
        return [tuple(row) for row in conn.execute(sa.text(text))]


def test_every_number_is_that_of_a_query(taught: Home) -> None:
    card = model_card(taught, HEAD)
    data = card["data"]
    assert [(data[k]) for k in ("tracks", "individuals", "watermark_seq", "split_seed")] == list(
        answers(taught, "select n_tracks, n_classes, watermark_seq, split_seed from training_set")[0]
    )
    of_tracks = "from track k join video v on v.video_id = k.video_id where k.state = 'live'"
    assert answers(
        taught,
        "select count(distinct v.video_id), count(distinct v.recorded_on), count(distinct v.camera) " + of_tracks,
    ) == [(data["videos"], data["days"], data["cameras"])]
    assert [(s["split"], s["videos"], s["camera_days"]) for s in card["splits"]] == answers(
        taught, "select split, count(*), count(distinct day_key) from split_assignment group by split"
    )
    columns = "dataset, watermark_seq, slice_kind, slice_value, name, value, ci_low, ci_high, n, about, blocks"
    newest = "from evaluation_metric where model_id = 3 and watermark_seq = 40 order by metric_id"
    assert [tuple(one.values()) for one in card["metrics"]] == answers(taught, f"select {columns} {newest}")
    assert sum(card["fairness"]["groups"].values()) == answers(taught, "select count(*) from fairness_metric")[0][0]
    assert [
        (f["slice_value"], f["value"], f["low"], f["high"], f["n"], f["blocks"]) for f in card["fairness"]["findings"]
    ] == answers(taught, "select slice_value, value, low, high, n, blocks from fairness_metric where state = 'worse'")
    assert answers(taught, "select count(*) from drift_alert where state = 'open'") == [(card["drift"]["open"],)]
    assert card["licences"][0]["licence"] == "Apache-2.0"


def test_markdown_has_the_header_of_the_hub_and_says_the_limits(taught: Home) -> None:
    card = model_card(taught, HEAD)
    text = as_markdown(card)
    header = dict(line.split(": ", 1) for line in text.split("---")[1].strip().splitlines())
    assert json.loads(header["model-index"])[0]["results"][0]["metrics"][0]["value"] == 0.8125
    assert json.loads(header["license_name"]) == "Apache-2.0"
    assert "It knows 2 individuals." in text
    assert "1 change is open" in text
    assert "0.8125 | 0.7 to 0.9 | days to come | 50 | 8 |" in text.replace("`", "").replace("  ", " ")
    assert "F&#124;F" in text.replace("` ", "").replace(" `", "")


def test_promotions_by_hand_and_back_have_cards(taught: Home) -> None:
    assert keep_cards(taught) == [1, EMBEDDER, HEAD, OTHER]
    assert keep_cards(taught) == []
    db = taught.database
    with db.write() as conn:
        conn.execute(sa.update(t.model).where(t.model.c.model_id == OTHER).values(decided_at=datetime.now(UTC)))
    roll_back(db, "head", None, None)
    assert keep_cards(taught) == [OTHER]
    found = stored_card(taught, OTHER)
    assert found is not None
    assert (found["state"], found["decisions"][0]["action"]) == ("champion", "model.rollback")
    assert taught.store.get(key_of(OTHER, "md")).decode() == as_markdown(found)
    add_model(db, 8, "detector", state="candidate")
    promote_by_hand(db, taught.store, taught.settings, 8, "finds small ones", None, force=True)
    assert keep_cards(taught) == [8]


def test_a_card_that_was_lost_between_its_two_files_is_made_anew(taught: Home) -> None:
    keep_cards(taught)
    before = taught.store.get(key_of(HEAD, "json"))
    taught.store.delete(key_of(HEAD, "json"))
    assert keep_cards(taught) == [HEAD]
    assert taught.store.get(key_of(HEAD, "json")) == before


def test_a_card_says_that_the_file_of_its_training_set_is_gone(taught: Home) -> None:
    taught.store.delete("training_sets/head.csv")
    assert keep_cards(taught) == [1, EMBEDDER, HEAD, OTHER]
    card = stored_card(taught, HEAD)
    assert card is not None
    assert (card["data"]["tracks"], card["data"]["days"]) == (4, None)
    assert any(one.startswith("From how many days and cameras it learned is not known") for one in card["limits"])


def test_an_unknown_model_and_a_folder_that_is_none_are_sentences(taught: Home, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model 77"):
        model_card(taught, 77)
    with pytest.raises(CardError, match="cannot be written"):
        save_card(model_card(taught, 1), tmp_path / "none" / "card.md", as_json=False)

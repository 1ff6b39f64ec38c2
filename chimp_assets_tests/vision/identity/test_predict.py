"""Scoring a bundle at once: what a plain look at one video after the other would write, and what the audit judges."""

from datetime import date
from uuid import uuid4

import numpy as np
import sqlalchemy as sa
from safetensors.numpy import save

from chimp_assets.database import schema as t
from chimp_assets.database.connection.bulk import insert_rows
from chimp_assets.database.labels.events import LabelEvent, record_events
from chimp_assets.settings import HeadSettings
from chimp_assets.vision.evaluation.audit import judge_audit
from chimp_assets.vision.identity.assignment import NOBODY, name_together
from chimp_assets.vision.identity.fitting import fit_head
from chimp_assets.vision.identity.head import head_tensors
from chimp_assets.vision.identity.plausibility import read_plausibility
from chimp_assets.vision.identity.predict import NONE_OF_THEM, NONE_OF_THEM_BELOW, predict_bundles, predict_tracks
from chimp_assets.vision.models.checkpoint import content_hash, register_model, save_checkpoint
from chimp_assets_tests.support.rows import THEN, add_bundle, add_video

KNOWN, D, VIDEOS, EACH = 5, 12, 9, 7


def crowded(home, noise: float = 0.55):
    """Two bundles of videos in which tracks overlap, a head of five animals, one of them dead; head, vectors, spans."""
    rng = np.random.default_rng(5)
    looks = np.linalg.qr(rng.normal(size=(D, KNOWN)))[0].T

    def pictures(who):
        x = looks[who] + noise * rng.normal(size=(len(who), D))
        return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float16)

    teach = np.repeat(np.arange(KNOWN), 10)
    head = fit_head(pictures(teach), teach + 1, np.tile(np.arange(10), KNOWN), HeadSettings(), 0).head
    uri, digest = save_checkpoint(home.store, "models/head/h", head_tensors(head), {})
    detector = register_model(home.database, "detector", "d", {}, state="champion")
    embedder = register_model(home.database, "embedder", "e", {"dimensions": D}, state="champion")
    head_id = register_model(home.database, "head", "h", {}, uri, digest, embedder, state="champion")
    track = np.array([t.track_id_of(v, n) for v in range(1, VIDEOS + 1) for n in range(EACH)])
    x, first = pictures(rng.integers(0, KNOWN, len(track))), rng.integers(0, 6, len(track)).astype(float)
    last = first + rng.integers(0, 4, len(track))
    for bundle in (1, 2):
        add_bundle(home.database, bundle)
    for video in range(1, VIDEOS + 1):
        add_video(home.database, video, 1 + video % 2, "tracked")
    with home.database.write() as conn:
        for who in range(KNOWN):
            died = {"depart_date": date(2026, 1, 1), "depart_type": "D"} if who == 0 else {}
            conn.execute(
                sa.insert(t.individual).values(individual_id=who + 1, anim_id=f"I{who}", created_at=THEN, **died)
            )
        days = {"recorded_on": date(2026, 3, 1)}
        conn.execute(sa.update(t.video).where(t.video.c.video_id <= VIDEOS - 2).values(**days))
        insert_rows(conn, t.track, {
            "track_id": track, "video_id": track // t.TRACKS_PER_VIDEO, "first_frame_no": first.astype(int),
            "last_frame_no": last.astype(int), "first_s": first, "last_s": last, "n_detections": np.full(len(track), 3),
            "quality": np.full(len(track), 0.9), "model_id": np.full(len(track), detector),
            "state": ["live"] * len(track),
        })  # fmt: skip
        for bundle in (1, 2):
            mine = 1 + (track // t.TRACKS_PER_VIDEO) % 2 == bundle
            content = save({"embedding": x[mine], "track_id": track[mine]})
            home.store.put(f"{bundle}.safetensors", content)
            conn.execute(sa.insert(t.embedding_file).values(
                model_id=embedder, bundle_id=bundle, uri=f"{bundle}.safetensors", content_hash=content_hash(content),
                n_tracks=int(mine.sum()), created_at=THEN,
            ))  # fmt: skip
    return head, head_id, track, x, first, last


def shown(home):
    """Of each track its names and probabilities by rank, and whether it is unknown, from SQL."""
    p, s = t.prediction.c, t.track_score.c
    names = {}
    with home.database.read() as conn:
        for r in conn.execute(sa.select(p.track_id, p.individual_id, p.probability).order_by(p.track_id, p.rank)):
            names.setdefault(r.track_id, []).append((r.individual_id, r.probability))
        unknown = {track: yes for track, yes in conn.execute(sa.select(s.track_id, s.is_unknown))}
        novelty = {track: value for track, value in conn.execute(sa.select(s.track_id, s.novelty))}
    return names, unknown, novelty


def test_whole_bundles_are_scored_as_one_video_after_the_other(home):
    """A row of one video read with the day or the neighbours of another would name it wrongly, and nobody would see."""
    head, _, track, x, first, last = crowded(home)
    predict_bundles(home.database, home.store, ["site-0001", "site-0002"], home.settings)
    names, unknown, novelty = shown(home)
    assert sorted(names) == track.tolist()
    with home.database.read() as conn:
        lives = read_plausibility(conn, head.classes)
    changed = 0
    for video in range(1, VIDEOS + 1):
        rows = np.flatnonzero(track // t.TRACKS_PER_VIDEO == video)
        logits = head.logits(x[rows])
        alone = head.probabilities(logits)
        day = float(date(2026, 3, 1).toordinal()) if video <= VIDEOS - 2 else np.nan
        stranger = head.is_unknown(x[rows], logits)
        none = np.where(stranger, NONE_OF_THEM_BELOW, NONE_OF_THEM).astype(np.float32)
        possible = lives.possible(np.full(len(rows), day), np.full(len(rows), ""))
        whole = name_together(alone, none, np.zeros(len(rows), np.int64), first[rows], last[rows], possible)
        changed += int(whole.changed.sum())
        for place, row in enumerate(rows):
            order = np.argsort(-whole.probability[place], kind="stable")
            told = names[int(track[row])]
            assert [name for name, _ in told] == head.classes[order].tolist()
            assert np.allclose([p for _, p in told], whole.probability[place][order], atol=1e-6)
            assert unknown[int(track[row])] == (stranger[place] or whole.column[place] == NOBODY)
            plain = 1 - max(float(x[row].astype(np.float32) @ m) for m in head.member.astype(np.float32))
            assert abs(novelty[int(track[row])] - plain) < 1e-5
    assert changed > 3, "names that company changed, or nothing was tested"


def test_the_audit_judges_the_names_that_are_shown(home):
    """Measured on each track alone, a head is praised or blamed for names that nobody ever sees."""
    head, head_id, track, x, _, _ = crowded(home)
    asked = track[::3]
    for one in asked.tolist():
        event = LabelEvent(str(uuid4()), "identify", "expert", lane="audit", track_id=one, anim_id="I1")
        assert record_events(home.database, [event])[0].status == "stored"
    predict_bundles(home.database, home.store, ["site-0001", "site-0002"], home.settings)
    names, unknown, _ = shown(home)
    tracks, judged = judge_audit(home.database, home.store, head_id, home.settings)
    assert tracks.track_id[judged.row].tolist() == asked.tolist()
    for row, one in enumerate(asked.tolist()):
        assert judged.ranked[row].tolist() == [name for name, _ in names[one]]
        assert abs(judged.probability[row] - names[one][0][1]) < 1e-6
        assert judged.flagged[row] == unknown[one]
    alone = head.classes[head.logits(x[np.isin(track, asked)]).argmax(1)]
    assert (judged.ranked[:, 0] != alone).any(), "names that company changed, or nothing was tested"


def test_what_is_asked_is_named_before_its_bundle_and_no_other_way(home):
    """Scoring an archive takes a new head minutes; who answers meanwhile would see no candidates."""
    _, _, track, _, _, _ = crowded(home)
    asked = [int(i) for i in track[::4]]
    assert predict_tracks(home.database, home.store, [*asked, 12345 * t.TRACKS_PER_VIDEO]) == len(asked)
    early = shown(home)
    assert sorted(early[0]) == asked
    with home.database.read() as conn:
        assert not conn.execute(sa.select(t.bundle_score)).all(), "no bundle counts as scored"
    assert predict_tracks(home.database, home.store, asked) == 0
    predict_bundles(home.database, home.store, ["site-0001", "site-0002"], home.settings)
    for before, after in zip(early, shown(home), strict=True):
        assert len(after) == len(track)
        for one in asked:  # but for the rounding of a product with other rows
            assert np.allclose(np.array(before[one], float), np.array(after[one], float), atol=1e-6)


def test_nobody_names_tracks_with_a_head_of_other_eyes(home):
    """Vectors of a new embedder under an old head give names that are noise."""
    _, _, track, _, _, _ = crowded(home)
    register_model(home.database, "embedder", "newer", {"dimensions": D}, state="champion")
    assert predict_tracks(home.database, home.store, track.tolist()) == 0
    assert not shown(home)[0]

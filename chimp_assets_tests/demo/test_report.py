"""The baseline and the report, on a home whose embeddings and heads are made by hand."""

import io
import json

import numpy as np
import pytest
import sqlalchemy as sa
from safetensors.numpy import save

from chimp_assets.console import output
from chimp_assets.console.output import Terminal
from chimp_assets.database import schema as t
from chimp_assets.database.labels.splits import audit_reserve_mask
from chimp_assets.database.work.queue import write_round
from chimp_assets.demo.baseline import AuditScore, judge, random_labels_baseline, read_benchmark
from chimp_assets.demo.expert import SimulatedExpert
from chimp_assets.demo.report import build_report, show_report
from chimp_assets.demo.truth import ArchiveTruth, TrueAnimal, TrueIndividual, TrueVideo
from chimp_assets.vision.identity.fitting import fit_head
from chimp_assets.vision.identity.head import head_tensors
from chimp_assets.vision.models.checkpoint import content_hash, register_model, save_checkpoint
from chimp_assets_tests.support.rows import THEN, add_bundle, add_model, add_track, add_video

NAMES = ("FF", "FI", "TU", "MW")
VIDEOS = 24


@pytest.fixture
def studied(home):
    """24 videos of one animal each, three tracks a video; unit vectors around four directions; all tracks asked."""
    db = home.database
    add_model(db, 1, "detector")
    embedder = 2
    add_model(db, embedder, "embedder")
    add_bundle(db, 1)
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(len(NAMES), 16))
    videos, tracks, vectors = [], [], []
    times = [n / 5 for n in range(10)]
    for video_id in range(1, VIDEOS + 1):
        add_video(db, video_id, 1, "tracked", split="test" if video_id % 5 == 0 else "train")
        who = video_id % len(NAMES)
        animal = TrueAnimal(NAMES[who], times, [(0.1, 0.1, 0.2, 0.3)] * 10, [1.0] * 10)
        videos.append(TrueVideo(f"v{video_id}.mp4", "s", "cam", THEN.isoformat(), 640, 360, 5, 2.0, animals=[animal]))
        for ordinal in range(3):
            tracks.append(add_track(db, video_id, ordinal))
            vector = centres[who] + rng.normal(0, 0.7, 16)
            vectors.append(vector / np.linalg.norm(vector))
    content = save({"embedding": np.array(vectors, np.float16), "track_id": np.array(tracks, np.int64)})
    home.store.put("embeddings/2/a.safetensors", content)
    with db.write() as conn:
        conn.execute(
            sa.insert(t.embedding_file).values(
                model_id=embedder, bundle_id=1, uri="embeddings/2/a.safetensors", content_hash=content_hash(content),
                n_tracks=len(tracks), created_at=THEN,
            )
        )  # fmt: skip
    individuals = [TrueIndividual(name, name.title(), "U", "1990-01-01") for name in NAMES]
    truth = ArchiveTruth(1, individuals, videos)
    truth.save(home.settings.home / "truth.json")
    share = home.settings.acquisition.audit_reserve
    reserve = audit_reserve_mask(np.array(tracks), home.settings.seed, share)
    write_round(
        db, policy="{}", seed=1, embedder_model_id=embedder, watermark_seq=0, n_pool=len(tracks), track_ids=tracks,
        lanes=["audit" if r else "typical" for r in reserve], propensity=[0.5] * len(tracks),
        reasons=["test"] * len(tracks),
    )  # fmt: skip
    expert = SimulatedExpert(db, truth, home.settings.seed, wrong=0, unknown=0)
    expert.answer_queue(len(tracks))
    return home, truth, expert, np.array(tracks), reserve


def _add_head(home, benchmark, names, state):
    with home.database.write() as conn:
        rows = conn.execute(sa.select(t.individual.c.anim_id, t.individual.c.individual_id))
        individuals = {row.anim_id: row.individual_id for row in rows}
        seq = conn.scalar(sa.select(sa.func.max(t.annotation.c.seq)))
        made = conn.execute(
            sa.insert(t.training_set).values(
                task="head", watermark_seq=seq, split_seed=1, n_tracks=len(names), n_classes=4, member_uri="m",
                member_hash="0" * 64, created_at=THEN,
            )
        )  # fmt: skip
    y = np.array([individuals[name] for name in names])
    head = fit_head(benchmark.pool_emb[: len(y)], y, benchmark.pool_day[: len(y)], home.settings.head, 1).head
    uri, digest = save_checkpoint(home.store, "models/head", head_tensors(head), {})
    key = made.inserted_primary_key[0]
    return register_model(home.database, "head", "head", {}, uri, digest, benchmark.embedder_id, key, state)


def test_the_ground_holds_no_reserve_and_no_test_day_in_its_pool(studied):
    """A baseline that may learn from what judges it, or from test days, is no yardstick."""
    home, _, _, tracks, reserve = studied
    benchmark = read_benchmark(home.database, home.store, home.settings, 2)
    test_day = (tracks // t.TRACKS_PER_VIDEO) % 5 == 0
    assert benchmark.pool_track.tolist() == tracks[~reserve & ~test_day].tolist()
    assert len(benchmark.audit_name) == reserve.sum()
    assert benchmark.pool_emb.shape == (len(benchmark.pool_track), 16)
    assert benchmark.audit_emb.shape == (len(benchmark.audit_name), 16)


def test_more_random_labels_make_a_better_baseline_and_nothing_is_stored(studied):
    """The yardstick must move with the labels spent, and must not leave labels behind."""
    home, _, expert, _, _ = studied
    benchmark = read_benchmark(home.database, home.store, home.settings, 2)
    with home.database.read() as conn:
        before = [conn.scalar(sa.select(sa.func.count()).select_from(table)) for table in t.metadata.sorted_tables]
    few, many = (random_labels_baseline(benchmark, expert, home.settings.head, n, range(5)) for n in (4, 40))
    with home.database.read() as conn:
        after = [conn.scalar(sa.select(sa.func.count()).select_from(table)) for table in t.metadata.sorted_tables]
    assert before == after
    assert few.mean + 0.1 < many.mean
    assert many.low <= many.mean <= many.high
    assert many == random_labels_baseline(benchmark, expert, home.settings.head, 40, range(5))


def test_one_random_label_names_everybody_alike(studied):
    """The first point of a curve must not fail for want of a second class."""
    home, _, expert, _, _ = studied
    benchmark = read_benchmark(home.database, home.store, home.settings, 2)
    one = random_labels_baseline(benchmark, expert, home.settings.head, 1, range(3))
    assert 0.05 < one.mean < 0.6


def test_a_name_that_a_head_does_not_know_counts_as_wrong(studied):
    """Leaving such tracks out would flatter a head that has met few individuals."""
    home, *_ = studied
    benchmark = read_benchmark(home.database, home.store, home.settings, 2)
    zero = np.zeros((1, 16), np.float32)
    n_tu = int((benchmark.audit_name == "TU").sum())
    assert judge(benchmark, zero, np.zeros(1), ["TU"]) == AuditScore(n_tu, len(benchmark.audit_name))
    assert judge(benchmark, zero[:0], np.zeros(0), []) == AuditScore(0, len(benchmark.audit_name))


def test_intervals_are_wilsons():
    """8 of 10: Wilson's interval is 0.490 to 0.943 (Agresti and Coull 1998); the naive one passes 1."""
    low, high = AuditScore(8, 10).interval
    assert (round(low, 3), round(high, 3)) == (0.490, 0.943)
    assert AuditScore(0, 0).interval == (0.0, 1.0)


def test_the_report_says_what_was_asked_how_right_it_is_and_draws_the_curve(studied, tmp_path, monkeypatch):
    """The last screen of the demo: numbers from SQL, accuracy against the audit, a picture, and JSON."""
    home, _, expert, _, reserve = studied
    benchmark = read_benchmark(home.database, home.store, home.settings, 2)
    answers = expert.answers(benchmark.pool_track.tolist())
    names = [answers[int(track_id)].anim_id for track_id in benchmark.pool_track]
    _add_head(home, benchmark, names[:12], "refused")
    _add_head(home, benchmark, names, "champion")
    report = build_report(
        home.database, home.store, home.settings, home.settings.home / "truth.json", tmp_path / "curve.png", draws=3
    )
    assert [line.version for line in report.heads] == [1, 2]
    assert report.heads[1].today.accuracy > 0.8
    assert report.heads[1].today.n == report.n_audit == reserve.sum()
    assert report.heads[1].random is not None
    assert report.heads[1].asked == report.asked == (~reserve).sum()
    assert (report.visits, report.visits_found) == (VIDEOS, VIDEOS)
    assert report.naming.by_person == 3 * VIDEOS
    assert (tmp_path / "curve.png").read_bytes()[:4] == b"\x89PNG"
    assert (tmp_path / "curve.png").stat().st_size < 100_000
    tree = json.loads(json.dumps(report.as_dict(), default=str))
    assert tree["heads"][1]["today"]["accuracy"] == pytest.approx(report.heads[1].today.accuracy)
    printed = io.StringIO()
    monkeypatch.setattr(output, "out", Terminal(width=140, file=printed))
    show_report(report)
    text = printed.getvalue()
    assert f"{report.heads[1].today.accuracy:.0%}" in text
    assert "refused" in text


def test_names_of_the_model_are_counted_right_only_where_they_are_right(studied):
    """The one number that nobody can know in life must not be invented: it is counted track by track."""
    home, _, _, tracks, _ = studied
    benchmark = read_benchmark(home.database, home.store, home.settings, 2)
    head = _add_head(home, benchmark, ["FF", "FI"] * 6, "champion")
    with home.database.write() as conn:
        ff = conn.scalar(sa.select(t.individual.c.individual_id).where(t.individual.c.anim_id == "FF"))
        gone = tracks[:12].tolist()  # videos 1 to 4: one of each animal
        for table in (t.standing_answer, t.annotation):
            conn.execute(sa.delete(table).where(table.c.track_id.in_(gone)))
        for track_id in gone:
            conn.execute(
                sa.insert(t.prediction).values(
                    model_id=head, track_id=track_id, rank=1, individual_id=ff, probability=0.9
                )
            )
    report = build_report(home.database, home.store, home.settings, home.settings.home / "truth.json", None, draws=1)
    assert (report.naming.by_model, report.naming.by_model_right) == (12, 3)


def test_a_home_where_nothing_has_happened_yet_has_a_report(home, tmp_path):
    """The demo may be stopped at any moment; its report must not need a head."""
    ArchiveTruth(1, [], []).save(tmp_path / "truth.json")
    report = build_report(home.database, home.store, home.settings, tmp_path / "truth.json", tmp_path / "curve.png")
    assert report.heads == []
    assert report.curve is None
    assert not (tmp_path / "curve.png").exists()
    show_report(report)

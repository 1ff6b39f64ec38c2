"""Planning joins SQL, store and acquisition: what the expert is asked follows from what is known, and nothing else."""

from __future__ import annotations

import json
from uuid import uuid4

import numpy as np
import pytest
import sqlalchemy as sa
from safetensors.numpy import save

from chimp_assets.acquisition.pool import CANNOT_TELL, IN_FLIGHT, JUNK, PROVISIONAL, UNLABELLED
from chimp_assets.assets.acquisition import plan_metadata
from chimp_assets.database import schema as t
from chimp_assets.database.individuals.biographies import upsert_individuals
from chimp_assets.database.labels.events import LabelEvent, last_seq, record_events
from chimp_assets.database.labels.splits import audit_reserve_mask
from chimp_assets.database.people.users import add_user
from chimp_assets.database.work.queue import claim
from chimp_assets.home import Home
from chimp_assets.loop.plan import PlanningError, build_pool, plan_queue
from chimp_assets.settings import Settings
from chimp_assets.vision.identity.head import IdentityHead as Head
from chimp_assets.vision.identity.head import head_tensors
from chimp_assets.vision.models.checkpoint import content_hash, register_model, save_checkpoint
from chimp_assets_tests.support.rows import THEN, add_bundle, add_model, add_track, add_video

DETECTOR, EMBEDDER = 1, 2
DOUBTS = {"boundary": 0.65, "rare": 0.05, "novel": 0.05, "audit": 0.22, "repeat": 0.03}
"""Shares of a warm plan that asks what the head doubts."""
DIMENSIONS = 8


class World:
    """A home with two bundles: videos of five live tracks each, the last two of test days, all embedded."""

    def __init__(self, home: Home, videos: int = 12) -> None:
        self.home, self.db = home, home.database
        self.settings = home.settings
        add_model(self.db, DETECTOR, "detector")
        add_model(self.db, EMBEDDER, "embedder")
        self.tracks: list[int] = []
        self.test_tracks: list[int] = []
        for bundle_id in (1, 2):
            add_bundle(self.db, bundle_id)
        for video_id in range(1, videos + 1):
            split = "test" if video_id > videos - 2 else "validation" if video_id == videos - 2 else "train"
            add_video(self.db, video_id, 1 + video_id % 2, "tracked", split)
            for ordinal in range(5):
                track_id = add_track(self.db, video_id, ordinal)
                self.tracks.append(track_id)
                if split == "test":
                    self.test_tracks.append(track_id)
        upsert_individuals(self.db, [{"anim_id": "FF", "name": "Fifi"}, {"anim_id": "FI", "name": "Fred"}])
        rng = np.random.default_rng(0)
        self.embeddings = {track: unit(rng.standard_normal(DIMENSIONS)) for track in self.tracks}
        self.write_embeddings()

    @property
    def reserve(self) -> set[int]:
        ids = np.array(self.tracks)
        return set(ids[audit_reserve_mask(ids, self.settings.seed, self.settings.acquisition.audit_reserve)].tolist())

    @property
    def open_to_training(self) -> list[int]:
        return [track for track in self.tracks if track not in self.reserve and track not in self.test_tracks]

    def write_embeddings(self) -> None:
        """The files and rows that embed_bundle writes: odd videos are bundle 2's, so files are not in track order."""
        for bundle_id in (1, 2):
            ids = [track for track in self.tracks if 1 + track // t.TRACKS_PER_VIDEO % 2 == bundle_id]
            ids = [track for track in ids if track in self.embeddings]
            rows = np.stack([self.embeddings[i] for i in ids]).astype(np.float16)
            content = save({"embedding": rows, "track_id": np.array(ids)})
            uri = f"embeddings/{EMBEDDER}/site-{bundle_id:04d}-{content_hash(content)[:8]}.safetensors"
            self.home.store.put(uri, content)
            with self.db.write() as conn:
                conn.execute(sa.delete(t.embedding_file).where(t.embedding_file.c.bundle_id == bundle_id))
                conn.execute(
                    sa.insert(t.embedding_file).values(
                        model_id=EMBEDDER, bundle_id=bundle_id, uri=uri, content_hash=content_hash(content),
                        n_tracks=len(ids), created_at=THEN,
                    )
                )  # fmt: skip

    def answer(self, kind: str, track_id: int, anim_id: str | None = None, lane: str = "typical") -> str:
        event = LabelEvent(str(uuid4()), kind, "expert", lane=lane, track_id=track_id, anim_id=anim_id)
        (result,) = record_events(self.db, [event])
        assert result.status == "stored", result
        return event.annotation_id

    def individual_id(self, anim_id: str) -> int:
        with self.db.read() as conn:
            return conn.scalar(sa.select(t.individual.c.individual_id).where(t.individual.c.anim_id == anim_id))

    def items(self) -> list[tuple[int, str, float, str]]:
        """Waiting items that ask for names, in their order."""
        q = t.acquisition_queue.c
        with self.db.read() as conn:
            rows = conn.execute(
                sa.select(q.track_id, q.lane, q.propensity, q.reason)
                .where(q.state == "pending", q.lane.not_in(t.SIDE_LANES))
                .order_by(q.round_id, q.position)
            )
            return [tuple(row) for row in rows]

    def side_items(self, lane: str) -> list[tuple[int, int, str]]:
        """Waiting items of a lane that does not ask for names, in their order."""
        q = t.acquisition_queue.c
        with self.db.read() as conn:
            rows = conn.execute(
                sa.select(q.track_id, q.other_track_id, q.reason)
                .where(q.state == "pending", q.lane == lane)
                .order_by(q.round_id, q.position)
            )
            return [tuple(row) for row in rows]

    def add_head(self, accuracy: float | None, embedder: int = EMBEDDER) -> int:
        """A champion head that tells FF from FI by the first dimension."""
        weight = np.zeros((2, DIMENSIONS), np.float32)
        weight[:, 0] = [5, -5]
        classes = np.array([self.individual_id("FF"), self.individual_id("FI")])
        member, counts = weight.astype(np.float16), np.ones(2, np.int64)
        head = Head(weight, np.zeros(2, np.float32), classes, 1.0, -1e9, member, classes.copy(), counts)
        uri, digest = save_checkpoint(self.home.store, "models/head", head_tensors(head), {})
        model_id = register_model(self.db, "head", "test", {}, uri, digest, parent_id=embedder, state="champion")
        if accuracy is not None:
            with self.db.write() as conn:
                conn.execute(
                    sa.insert(t.evaluation_metric).values(
                        model_id=model_id, dataset="audit", watermark_seq=0, slice_kind="all", slice_value="",
                        name="top1", value=accuracy, n=10, created_at=THEN,
                    )
                )  # fmt: skip
        return model_id


def with_shares(settings: Settings, warm: dict[str, float]) -> Settings:
    """The settings, with these lanes of a warm plan."""
    acquisition = settings.acquisition.model_copy(update={"warm_shares": warm})
    return settings.model_copy(update={"acquisition": acquisition})


@pytest.fixture
def world(home: Home) -> World:
    return World(home)


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def test_the_pool_says_of_each_track_what_people_said(world: World) -> None:
    """A wrong state asks again what is answered, or never asks what is open."""
    a, b, c, d, e, f, g = world.open_to_training[:7]
    world.answer("identify", a, "FI")
    world.answer("unknown", b)
    world.answer("cannot_tell", c)
    world.answer("not_animal", d)
    world.answer("bad_box", e)
    taken_back = world.answer("identify", f, "FF")
    record_events(world.db, [LabelEvent(str(uuid4()), "retract", "expert", supersedes=taken_back)])
    pool = build_pool(world.db, world.home.store, world.settings)
    state = dict(zip(pool.track.tolist(), pool.state.tolist(), strict=True))
    assert [state[i] for i in (a, b, c, d, e, f, g)] == [
        world.individual_id("FI"), PROVISIONAL, CANNOT_TELL, JUNK, JUNK, UNLABELLED, UNLABELLED,
    ]  # fmt: skip
    assert pool.value.tolist() == [4.0] * 60


def test_embeddings_lie_beside_their_own_tracks(world: World) -> None:
    """Bundles come in another order than tracks: one shift and every name would be wrong."""
    pool = build_pool(world.db, world.home.store, world.settings)
    assert pool.track.tolist() == sorted(world.tracks)
    for track, row in zip(pool.track.tolist(), pool.emb, strict=True):
        np.testing.assert_array_equal(row, world.embeddings[track].astype(np.float16))


def test_reserve_and_test_days_are_marked(world: World) -> None:
    """They are what keeps the measured accuracy honest."""
    pool = build_pool(world.db, world.home.store, world.settings)
    assert set(pool.track[pool.reserve].tolist()) == world.reserve
    assert set(pool.track[pool.test_day].tolist()) == set(world.test_tracks)
    assert 0 < len(world.reserve) < 30


def test_tracks_without_a_usable_embedding_are_left_out_and_counted(world: World) -> None:
    """A missing row must not shift the others, and must not vanish without a word."""
    gone, broken = world.open_to_training[0], world.open_to_training[3]
    del world.embeddings[gone]
    world.embeddings[broken] = np.full(DIMENSIONS, np.nan)
    world.write_embeddings()
    pool = build_pool(world.db, world.home.store, world.settings)
    assert set(world.tracks) - set(pool.track.tolist()) == {gone, broken}
    for track, row in zip(pool.track.tolist(), pool.emb, strict=True):
        np.testing.assert_array_equal(row, world.embeddings[track].astype(np.float16))
    assert plan_queue(world.db, world.home.store, world.settings, batch=5).without_embedding == 2


def test_junk_and_retired_videos_are_not_in_the_pool(world: World) -> None:
    """An embedding outlives its track: files are replaced later than rows."""
    junk = world.tracks[0]
    with world.db.write() as conn:
        conn.execute(t.track.update().where(t.track.c.track_id == junk).values(state="junk"))
        conn.execute(t.video.update().where(t.video.c.video_id == 2).values(state="retired"))
    tracks = set(build_pool(world.db, world.home.store, world.settings).track.tolist())
    assert tracks == {i for i in world.tracks if i != junk and i // t.TRACKS_PER_VIDEO != 2}


def test_a_plan_is_stored_as_it_was_made(world: World) -> None:
    """Lane, propensity and reason must be beside the track they belong to; estimates rest on the propensity."""
    report = plan_queue(world.db, world.home.store, world.settings, batch=12)
    items = world.items()
    assert report.phase == "cold"
    assert report.lanes == {"audit": 3, "typical": 9}
    assert report.n_pool == len(world.open_to_training) + len(world.reserve)
    for track, lane, propensity, reason in items:
        if lane == "audit":
            assert track in world.reserve
            assert propensity == pytest.approx(3 / len(world.reserve))
            assert "random" in reason
        else:
            assert track in world.open_to_training
            assert propensity == 1.0
            assert "typical" in reason
    with world.db.read() as conn:
        row = conn.execute(sa.select(t.acquisition_round)).one()
        assert (row.seed, row.embedder_model_id, row.head_model_id) == (world.settings.seed, EMBEDDER, None)
        assert (row.watermark_seq, row.n_pool) == (last_seq(conn), report.n_pool)
    assert json.loads(row.policy) == {
        "batch": 12,
        "duplicate_likeness": 0.97,
        "identity_cap": 0.25,
        "pairs_per_round": 20,
        "place_cap": 0.34,
        "spread_by": "distance",
        "value_weight": 0.25,
        "video_cap": 0.1,
        "phase": "cold",
        "shares": {"audit": 0.25, "typical": 0.75},
        "why": "there is no head yet",
    }


def test_the_same_knowledge_gives_the_same_plan_and_another_seed_another(world: World) -> None:
    """A queue that reshuffles itself cannot be explained, and a study cannot be repeated."""
    plan_queue(world.db, world.home.store, world.settings, batch=12)
    first = world.items()
    plan_queue(world.db, world.home.store, world.settings, batch=12)
    assert world.items() == first
    plan_queue(world.db, world.home.store, world.settings, batch=12, seed=99)
    assert world.items() != first


def test_leased_tracks_are_not_planned_again_and_expired_leases_are(world: World) -> None:
    """Two people must not be asked the same at once, and a closed browser must not hold a track for ever."""
    plan_queue(world.db, world.home.store, world.settings, batch=12)
    held = {item.track_id for item in claim(world.db, "expert", 4, lease_minutes=15)}
    pool = build_pool(world.db, world.home.store, world.settings)
    assert set(pool.track[pool.state == IN_FLIGHT].tolist()) == held
    plan_queue(world.db, world.home.store, world.settings, batch=12)
    assert not held & {item[0] for item in world.items()}
    with world.db.write() as conn:
        conn.execute(
            t.acquisition_queue.update().where(t.acquisition_queue.c.state == "leased").values(leased_until=THEN)
        )
    pool = build_pool(world.db, world.home.store, world.settings)
    assert not (pool.state == IN_FLIGHT).any()


def test_a_skipped_track_rests_unless_the_audit_needs_it(world: World) -> None:
    """Typical tracks are chosen by rule: a skipped one would come first in every following plan."""
    plan_queue(world.db, world.home.store, world.settings, batch=12)
    items = claim(world.db, "expert", 12, lease_minutes=15)
    skipped = next(item for item in items if item.lane == "typical")
    audited = next(item for item in items if item.lane == "audit")
    for item in (skipped, audited):
        record_events(
            world.db,
            [LabelEvent(str(uuid4()), "skip", "expert", lane=item.lane, track_id=item.track_id, item_id=item.item_id)],
        )
    pool = build_pool(world.db, world.home.store, world.settings)
    state = dict(zip(pool.track.tolist(), pool.state.tolist(), strict=True))
    assert state[skipped.track_id] == IN_FLIGHT
    assert state[audited.track_id] == UNLABELLED
    for _ in range(3):
        plan_queue(world.db, world.home.store, world.settings, batch=2)
    pool = build_pool(world.db, world.home.store, world.settings)
    assert pool.state[pool.track == skipped.track_id].tolist() == [UNLABELLED]


def test_everything_is_asked_once_until_nothing_is_left(world: World) -> None:
    """Over all rounds: no track twice, no test day in a training lane, and an end."""
    asked: list[tuple[int, str]] = []
    while True:
        report = plan_queue(world.db, world.home.store, world.settings, batch=16)
        if not report.lanes:
            break
        for track, lane, _, _ in world.items():
            asked.append((track, lane))
            world.answer("identify", track, "FF", lane)
    tracks = [track for track, _ in asked]
    assert len(tracks) == len(set(tracks))
    assert {track for track, lane in asked if lane == "audit"} == world.reserve
    assert {track for track, lane in asked if lane == "typical"} == set(world.open_to_training)


def test_a_good_head_turns_the_plan_to_the_boundary(world: World) -> None:
    """The switch from typical to doubtful tracks is where most labels are saved."""
    head = world.add_head(accuracy=0.6)
    report = plan_queue(world.db, world.home.store, with_shares(world.settings, DOUBTS), batch=8)
    assert report.phase == "warm"
    assert report.lanes == {"audit": 2, "boundary": 5, "novel": 1}  # nobody has few labels, so nobody is rare
    boundary = [(track, reason) for track, lane, _, reason in world.items() if lane == "boundary"]
    doubt = {track: abs(world.embeddings[track][0]) for track in world.open_to_training}
    doubts = [doubt[track] for track, _ in boundary]
    # Ten candidates for five, and one of each of ten videos: the least doubtful video has one, too.
    assert np.median(doubts) < np.quantile(list(doubt.values()), 0.25)
    assert all("Fifi (FF)" in reason and "Fred (FI)" in reason for _, reason in boundary)
    with world.db.read() as conn:
        assert conn.scalar(sa.select(t.acquisition_round.c.head_model_id)) == head


def test_pairs_and_disputed_answers_are_planned_beside_the_names(world: World) -> None:
    """Volunteers would have no questions, and contradictions would lie in the table unseen."""
    a, b, c = world.open_to_training[:3]
    add_user(world.db, "vera", "volunteer")
    world.answer("identify", a, "FF")
    world.answer("identify", c, "FI")
    links = [
        LabelEvent(str(uuid4()), "same", "vera", track_id=one, other_track_id=other) for one, other in ((a, b), (b, c))
    ]
    record_events(world.db, links)
    report = plan_queue(world.db, world.home.store, world.settings, batch=6)
    disputed = world.side_items("disputed")
    pairs = world.side_items("pairs")
    assert (report.disputed, report.contradictions) == (2, 1) == (len(disputed), 1)
    assert {frozenset(item[:2]) for item in disputed} == {frozenset({a, b}), frozenset({b, c})}
    assert 5 < len(pairs) == report.pairs <= 20
    both = [track for item in pairs for track in item[:2]]
    assert len(set(both)) == len(both)
    assert set(both) <= set(world.open_to_training) - {a, c} - {item[0] for item in world.items()}
    assert all(one // t.TRACKS_PER_VIDEO != other // t.TRACKS_PER_VIDEO for one, other, _ in pairs), (
        "tracks of one video are all filmed at one moment here"
    )
    plan_queue(world.db, world.home.store, world.settings, batch=6)
    assert world.side_items("pairs") == pairs, "the same knowledge, the same questions"
    assert plan_metadata(report)["pairs"] == len(pairs)
    assert plan_metadata(report)["disputed"] == 2

    held = claim(world.db, "vera", 3, 15, lanes=["pairs"])
    record_events(
        world.db, [LabelEvent(str(uuid4()), "different", "vera", track_id=pairs[5][0], other_track_id=pairs[5][1])]
    )
    record_events(world.db, [LabelEvent(str(uuid4()), "retract", "vera", supersedes=links[1].annotation_id)])
    report = plan_queue(world.db, world.home.store, world.settings, batch=6)
    assert (report.disputed, report.contradictions, report.follows) == (0, 0, 1)
    again = {frozenset(item[:2]) for item in world.side_items("pairs")}
    in_flight = {track for item in held for track in (item.track_id, item.other_track_id)}
    assert frozenset(pairs[5][:2]) not in again
    assert not in_flight & {track for pair in again for track in pair}
    assert not {b} & {track for pair in again for track in pair}
    assert b not in {item[0] for item in world.items()}, "its name follows"

    off = world.settings.acquisition.model_copy(update={"pairs_per_round": 0})
    report = plan_queue(world.db, world.home.store, world.settings.model_copy(update={"acquisition": off}), batch=6)
    assert (report.pairs, report.disputed) == (0, 0)


@pytest.mark.parametrize(
    ("accuracy", "embedder", "why"),
    [(0.1, EMBEDDER, "below 30%"), (None, EMBEDDER, "no audit accuracy"), (0.9, DETECTOR, "another embedder")],
)
def test_a_head_that_cannot_be_trusted_leaves_the_plan_cold(
    world: World, accuracy: float | None, embedder: int, why: str
) -> None:
    """Margins of a head that knows nothing are worse than chance. The round still says which head it knew: otherwise
    a plan would always look older than the champion and be made anew for ever."""
    head = world.add_head(accuracy, embedder)
    report = plan_queue(world.db, world.home.store, world.settings, batch=8)
    assert report.phase == "cold"
    assert why in report.why
    with world.db.read() as conn:
        assert conn.scalar(sa.select(t.acquisition_round.c.head_model_id)) == head


def test_without_an_embedder_there_is_a_sentence_and_no_round(world: World) -> None:
    """The first minutes of every archive."""
    with world.db.write() as conn:
        conn.execute(t.model.update().where(t.model.c.task == "embedder").values(state="retired"))
    with pytest.raises(PlanningError, match="no embedder"):
        plan_queue(world.db, world.home.store, world.settings)
    with world.db.read() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(t.acquisition_round)) == 0


def test_a_device_that_is_not_there_is_named_with_its_setting(world: World) -> None:
    """A driver that broke over night: the queue must not run dry without a word."""
    acquisition = world.settings.acquisition.model_copy(update={"device": "cuda:99"})
    settings = world.settings.model_copy(update={"acquisition": acquisition})
    with pytest.raises(PlanningError, match="cuda:99") as caught:
        plan_queue(world.db, world.home.store, settings)
    assert 'device = "cpu"' in caught.value.remedy


def test_a_lane_that_nobody_can_plan_is_named_with_its_setting(world: World) -> None:
    """A misspelt share in chimp.toml."""
    acquisition = world.settings.acquisition.model_copy(update={"cold_shares": {"typcal": 0.5, "audit": 0.5}})
    settings = world.settings.model_copy(update={"acquisition": acquisition})
    with pytest.raises(PlanningError, match="typcal") as caught:
        plan_queue(world.db, world.home.store, settings)
    assert "cold_shares" in caught.value.remedy


def test_a_plan_does_not_say_what_people_denied(world: World) -> None:
    """The candidates of the page leave a denied name out, and the reason above them said it."""
    world.add_head(accuracy=0.9)
    settings = with_shares(world.settings, {"frames": 1.0})
    plan_queue(world.db, world.home.store, settings, batch=10)
    first, *_ = (row for row in world.items() if "Fifi" in row[3])
    event = LabelEvent(str(uuid4()), "not_individual", "expert", lane="free", track_id=first[0], anim_id="FF")
    assert record_events(world.db, [event])[0].status == "stored"
    plan_queue(world.db, world.home.store, settings, batch=40)
    reason = {track: reason for track, _, _, reason in world.items()}[first[0]]
    assert "Fifi" not in reason
    assert "Fred" in reason

"""The exact scan: what numpy finds is found, behind every filter, and each group once."""

import numpy as np
import pytest

from chimp_assets.database.schema import TRACKS_PER_VIDEO
from chimp_assets.vision.embedding.search_index.catalogue import Catalogue, Entry, Member
from chimp_assets.vision.embedding.search_index.examples import question_of
from chimp_assets.vision.embedding.search_index.scan import VectorIndex
from chimp_assets.vision.embedding.search_index.segments import open_segment, write_segment

N, D = 6_000, 32


def _unit(rng, n, d=D):
    vectors = rng.standard_normal((n, d)).astype(np.float32)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """6,000 tracks, three a video, in segments of 2,500; the index and its vectors as f32."""
    folder = tmp_path_factory.mktemp("segments")
    track_id = np.arange(N) // 3 * TRACKS_PER_VIDEO + np.arange(N) % 3
    shuffled = np.random.default_rng(1).permutation(N)
    track_id, vectors = track_id[shuffled], _unit(np.random.default_rng(2), N)
    segments, entries = [], []
    for start in range(0, N, 2_500):
        here = slice(start, start + 2_500)
        file = write_segment(folder, track_id[here], vectors[here])
        segments.append(open_segment(folder, file))
        entries.append(Entry(file, (Member(1, "one", 0, file.n),)))
    return VectorIndex(7, segments, Catalogue(tuple(entries)), {1: "one"}), vectors.astype(np.float32)


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.5, 1.0])
def test_all_of_the_nearest_are_found_behind_every_filter(built, share):
    """Filters applied after the nearest were chosen leave a filter of a hundredth almost empty."""
    index, vectors = built
    rng = np.random.default_rng(3)
    for _ in range(10):
        question = _unit(rng, 1)[0].astype(np.float32)
        allowed = rng.random(N) < share
        rows, scores = index.nearest(question, 200, None if share == 1 else allowed)
        true = vectors @ question
        true = np.sort(true if share == 1 else true[allowed])[::-1][:200]
        assert len(rows) == len(true)
        assert len(set(rows.tolist())) == len(rows)
        assert share == 1 or allowed[rows].all()
        assert np.abs(scores - true).max() < 1e-5
        assert np.abs(vectors[rows] @ question - scores).max() < 1e-5


def test_each_group_is_found_once_by_its_nearest(built):
    """Neighbours of a picture are mostly pictures of the same clip."""
    index, vectors = built
    question = vectors[17]
    true = vectors @ question
    best: dict[int, float] = {}
    for video, score in zip((index.track_id // TRACKS_PER_VIDEO).tolist(), true.tolist(), strict=True):
        best[video] = max(score, best.get(video, -2))
    for k in (5, 500, 3_000):
        rows, scores = index.nearest(question, k, group=index.videos)
        assert len(set((index.track_id[rows] // TRACKS_PER_VIDEO).tolist())) == len(rows) == min(k, N // 3)
        assert np.allclose(scores, sorted(best.values(), reverse=True)[:k], atol=1e-5)


def test_one_group_that_holds_everything_near_hides_no_other(built):
    """A camera that stands before a nest has ten thousand tracks of one animal."""
    index, vectors = built
    question = vectors[0]
    near = np.argsort(-(vectors @ question))
    group = np.ones(N, dtype=np.int32)
    group[near[:4_000]] = 0
    group[near[5_000:]] = 2
    rows, _ = index.nearest(question, 3, group=group)
    assert rows.tolist() == [near[0], near[4_000], near[5_000]]


def test_a_track_is_found_by_its_number_and_a_strange_one_is_not(built):
    index, vectors = built
    rows = index.rows_of(np.array([index.track_id[4_321], 5, index.track_id[9]]))
    assert rows.tolist() == [4_321, -1, 9]
    assert np.array_equal(index.vectors(rows[[0, 2]]), vectors[[4_321, 9]])
    assert index.some(200).tolist() == index.some(200).tolist()


def test_an_example_of_what_is_not_wanted_turns_the_question_away():
    """Two animals look alike; one of them is named as not wanted."""
    rng = np.random.default_rng(5)
    shared, one, two = (_unit(rng, 1, 64)[0].astype(np.float32) for _ in range(3))
    others = _unit(rng, 200, 64).astype(np.float32)

    def seen(own, n):
        views = shared + own + 0.06 * rng.standard_normal((n, 64))
        return (views / np.linalg.norm(views, axis=1, keepdims=True)).astype(np.float32)

    wanted, unwanted = seen(one, 3), seen(two, 2)
    plain, turned = question_of(wanted, unwanted[:0], others), question_of(wanted, unwanted, others)
    assert np.linalg.norm(plain) == pytest.approx(1)
    assert np.linalg.norm(turned) == pytest.approx(1)
    gap = lambda question: (seen(one, 50) @ question).min() - (seen(two, 50) @ question).max()  # noqa: E731
    assert gap(turned) > gap(plain) + 0.2
    assert (seen(one, 50) @ turned).min() > (others @ turned).max()
    assert np.allclose(question_of(wanted[:1], unwanted[:0], others), wanted[0], atol=1e-6)
    with pytest.raises(ValueError):
        question_of(wanted[:0], unwanted, others)

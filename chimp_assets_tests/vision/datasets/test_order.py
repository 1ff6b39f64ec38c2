"""The order of an epoch: every sample once, the same for the same seed, resumed at any place."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimp_assets.vision.datasets.order import EpochOrder, Position, Reader

blocks = st.lists(st.integers(1, 9), min_size=1, max_size=40)


def order_of(counts: list[int], reader: Reader = Reader(), **options) -> EpochOrder:  # noqa: B008
    samples = np.array(counts, np.int64)
    defaults = {"seed": 3, "epoch": 0, "budget": 1200}
    return EpochOrder(samples, lambda some: samples[some] * 100, reader=reader, **defaults | options)


def delivered(order: EpochOrder, position: Position) -> list[tuple[int, int]]:
    """(block, sample) from a position on, as a stream delivers them."""
    found = []
    for mix, first, end in order.remaining(position):
        of_block, of_sample = order.within(mix)
        members = order.mix(mix)
        found += [(int(members[b]), int(n)) for b, n in zip(of_block[first:end], of_sample[first:end], strict=True)]
    return found


@given(counts=blocks, readers=st.integers(1, 5), shuffle=st.booleans(), epoch=st.integers(0, 3))
def test_all_readers_together_deliver_every_sample_once(counts, readers, shuffle, epoch) -> None:
    """A sample that comes twice or never biases what is learned, silently."""
    found: list[tuple[int, int]] = []
    for index in range(readers):
        order = order_of(counts, Reader(index, readers), shuffle=shuffle, epoch=epoch)
        own = delivered(order, Position(3, epoch))
        assert len(own) == order.quota
        found += own
    assert sorted(found) == [(block, n) for block, count in enumerate(counts) for n in range(count)]


@given(counts=blocks, readers=st.integers(1, 3), stop=st.integers(0, 400), uneven=st.sampled_from(["keep", "repeat"]))
def test_a_reader_goes_on_where_it_was_stopped(counts, readers, stop, uneven) -> None:
    """Four integers at any sample: nothing twice, nothing left out, nothing read again."""
    readers = min(readers, len(counts))
    for index in range(readers):
        order = order_of(counts, Reader(index, readers), uneven=uneven)
        whole = delivered(order, Position(3, 0))
        done = 0
        for mix, first, end in order.remaining(Position(3, 0)):
            for offset in range(first, end):
                if done == stop % max(1, len(whole)):
                    assert delivered(order, Position(3, 0, mix, offset)) == whole[done:]
                done += 1


@given(counts=blocks, readers=st.integers(1, 4))
def test_equal_steps_mean_equal_counts(counts, readers) -> None:
    """A rank that ends earlier leaves the others waiting for ever."""
    readers = min(readers, len(counts))
    for uneven in ("drop", "repeat"):
        orders = [order_of(counts, Reader(i, readers), uneven=uneven) for i in range(readers)]
        lengths = {len(delivered(order, Position(3, 0))) for order in orders}
        assert len(lengths) == 1
        (length,) = lengths
        if uneven == "drop":
            assert length == min(order.n_own for order in orders)
        else:
            assert length == max(order.n_own for order in orders)
            for order in orders:
                assert set(delivered(order, Position(3, 0))) == {
                    (int(b), n) for b in order.blocks for n in range(counts[int(b)])
                }


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    """A training that cannot be repeated cannot be explained."""
    counts = [7] * 30
    first = delivered(order_of(counts), Position(3, 0))
    assert delivered(order_of(counts), Position(3, 0)) == first
    assert delivered(order_of(counts, seed=4), Position(4, 0)) != first
    assert delivered(order_of(counts, epoch=1), Position(3, 1)) != first
    assert delivered(order_of(counts, shuffle=False), Position(3, 0)) == sorted(first)


def test_a_mix_keeps_to_its_budget_and_takes_blocks_from_everywhere() -> None:
    """Neighbours in a video are the same picture: a batch of them teaches one."""
    order = order_of([8] * 100, budget=8 * 100 * 10)
    sizes = [len(order.mix(n)) for n in range(order.n_mixes)]
    assert sizes == [10] * 10
    of_block, _ = order.within(0)
    assert len(set(of_block[:20].tolist())) >= 6
    assert np.ptp(order.mix(0)) > 30
    assert [len(order_of([8, 50, 8], budget=900).mix(n)) for n in range(3)] == [1, 1, 1]


@given(counts=st.lists(st.integers(1, 20), min_size=1, max_size=60), at_once=st.integers(1, 9))
def test_mixes_do_not_depend_on_how_many_blocks_are_looked_up_at_once(counts, at_once) -> None:
    """A mix that ended where the look-up does would change the order with a constant that says nothing of it."""
    budget, whole, held = 1200, [0], 0
    for block, size in enumerate(100 * counts[int(b)] for b in order_of(counts).blocks):
        if held and held + size > budget:
            whole.append(block)
            held = 0
        held += size
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chimp_assets.vision.datasets.order._AT_ONCE", at_once)
        assert order_of(counts, budget=budget).starts.tolist() == [*whole, len(counts)]


def test_impossible_positions_and_readers_are_refused() -> None:
    """A wrong rank would read nothing, or all."""
    with pytest.raises(ValueError):
        Reader(2, 2)
    with pytest.raises(ValueError):
        Position(1, 0, -1, 0)
    with pytest.raises(ValueError, match="fewer readers"):
        order_of([3], Reader(1, 2), uneven="repeat")

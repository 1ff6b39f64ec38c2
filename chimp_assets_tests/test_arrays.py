"""Looking keys up in a sorted column."""

import numpy as np

from chimp_assets.arrays import located, rows_of


def test_wanted_keys_are_found_in_their_order_and_the_others_are_not():
    keys = np.array([2, 5, 9])
    is_there, row = located(keys, np.array([9, 1, 5, 10]))
    assert is_there.tolist() == [True, False, True, False]
    assert row[is_there].tolist() == [2, 1]
    assert rows_of(keys, np.array([10, 2])).tolist() == [0]


def test_nothing_is_found_where_there_are_no_keys_whatever_the_shape():
    """Pairs looked up in an empty pool ended in an error of numpy."""
    is_there, row = located(np.empty(0, np.int64), np.array([[1, 2], [3, 4]]))
    assert is_there.shape == row.shape == (2, 2)
    assert not is_there.any()

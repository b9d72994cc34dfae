"""Norms, outliers and neighbours on tokens that were made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from solutions.registers.norms import (
    flagged_layers,
    high_norm,
    likeness_to_neighbours,
    neighbour_cosine,
    summarise,
    token_norms,
)


def test_lengths() -> None:
    tokens = np.array([[[3.0, 4.0], [0.0, 0.0]]])
    np.testing.assert_array_equal(token_norms(tokens), [[5, 0]])


def test_a_summary_by_hand() -> None:
    # The median is 4, the deviations from it are 2, 1, 0, 0, 1, 1, 96: their median is 1.
    norms = np.array([[2.0, 3.0, 4.0, 4.0], [5.0, 5.0, 100.0, 4.0]]).ravel()[:7]
    summary = summarise(norms, mad_factor=10, cutoff=4.5, bins=10)
    assert (summary.median, summary.maximum, summary.mad) == (4, 100, 1)
    assert summary.max_over_median == 25
    assert summary.share_above_mad == pytest.approx(1 / 7)
    assert summary.share_above_cutoff == pytest.approx(3 / 7)
    assert summary.counts.tolist() == [6, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    np.testing.assert_allclose(summary.edges, np.arange(0, 101, 10))
    assert summarise(norms).share_above_cutoff is None


def test_a_planted_token_is_high_and_the_tail_of_a_normal_distribution_is_not() -> None:
    generator = np.random.default_rng(0)
    norms = generator.normal(20, 1, (50, 64))
    assert not high_norm(norms).any()
    norms[7, 11] = 200
    assert np.argwhere(high_norm(norms)).tolist() == [[7, 11]]


def test_both_limits_count() -> None:
    # Narrow: 13 is far in deviations, near in ratio. Wide: the other way round.
    narrow = np.array([10, 10.1, 9.9, 10.1, 9.9, 13])
    assert not high_norm(narrow).any()
    assert high_norm(narrow, ratio=1.2).tolist() == [False] * 5 + [True]
    wide = np.array([1.0, 2.0, 3.0, 9.0, 10.0, 3.0])
    assert not high_norm(wide).any()
    assert high_norm(wide, mad_factor=1).sum() == 1


def test_layers_are_flagged_by_number() -> None:
    norms = np.random.default_rng(1).normal(5, 0.1, (4, 6, 16))
    norms[2, 3, 5] = norms[3, 3, 5] = 60
    assert flagged_layers(norms) == [2, 3]


def test_neighbours_are_above_below_left_and_right() -> None:
    # A board of a and b at right angles, but for one patch.
    a, b = np.array([2.0, 0.0]), np.array([0.0, 3.0])
    board = np.array([[a, a, b], [a, b, b]]).reshape(1, 6, 2)
    cosine = neighbour_cosine(board, (2, 3))
    np.testing.assert_allclose(cosine, [[1, 1 / 3, 0.5, 0.5, 1 / 3, 1]])


def test_all_alike_is_one_and_zeros_do_not_break_it() -> None:
    same = np.ones((2, 12, 4))
    np.testing.assert_allclose(neighbour_cosine(same, (3, 4)), 1)
    same[0, 0] = 0
    cosine = neighbour_cosine(same, (3, 4))
    assert cosine[0, 0] == 0
    assert cosine[0, 1] == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="12 patches are no grid of 3 × 3"):
        neighbour_cosine(same, (3, 3))


def test_likeness_to_neighbours_by_hand() -> None:
    cosine = np.array([[0.0, 1.0], [2.0, 3.0]])
    assert likeness_to_neighbours(cosine, 5 + 2 * cosine) == pytest.approx(1)
    assert likeness_to_neighbours(cosine, -cosine) == pytest.approx(-1)
    # Deviations (-3, -1, 1, 3) / 2 and (-1, 1, 1, -1) / 2 are at right angles.
    assert likeness_to_neighbours(cosine, np.array([[0.0, 1.0], [1.0, 0.0]])) == pytest.approx(0)
    assert np.isnan(likeness_to_neighbours(cosine, np.ones((2, 2))))

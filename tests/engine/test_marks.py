"""Values are found again by three numbers that no reshape and no reordering changes."""

from __future__ import annotations

import numpy as np
import pytest

from grader.engine.stages import found_among, marks


def values(count: int, size: int, seed: int) -> list[np.ndarray]:
    """Some of them zeros and ones, which have many equals."""
    generator = np.random.default_rng(seed)
    drawn = [generator.normal(size=size) * 10.0 ** generator.integers(-6, 6) for _ in range(count)]
    return [*drawn, *[np.zeros(size)] * 3, *[np.ones(size)] * 3]


@pytest.mark.parametrize("size", [1, 2, 12])
def test_what_came_up_is_found_in_any_order_and_shape_and_nothing_else(size: int) -> None:
    ours, others = values(60, size, 0), values(60, size, 1)[:60]
    offered = [v[::-1].reshape(size, 1) * (1 + 1e-9) for v in ours[::2]] + [np.ones(size)]
    found = found_among(marks([*ours, *others]), marks(offered))
    there = [i % 2 == 0 or i >= 60 for i in range(len(ours))]
    assert found.tolist() == there + [False] * len(others)


def test_an_equal_sum_or_an_equal_size_alone_does_not_do() -> None:
    wanted = marks([np.array([1.0, 2.0]), np.array([1.0, 2.0, 0.0])])
    offered = marks([np.array([0.0, 3.0]), np.array([2.0, -1.0]), np.array([2.0, 1.0, 0.0, 0.0])])
    assert found_among(wanted, offered).tolist() == [False, False]


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_what_is_not_finite_is_never_found_and_hides_nothing(odd: float) -> None:
    wanted = marks([np.array([odd, 1.0]), np.array([3.0, 1.0])])
    offered = marks([np.array([1.0, odd]), np.array([1.0, 3.0])])
    assert found_among(wanted, offered).tolist() == [False, True]

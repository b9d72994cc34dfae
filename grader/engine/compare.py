"""When two arrays count as equal, and how two differ when they do not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

TOLERANCE = 2e-6
"""Of the largest expected value.  Right answers agree to about 1e-7 in float64: what is left
is constants that a program rounds to float32 before they are used."""


def close(actual: np.ndarray, expected: np.ndarray, tolerance: float = TOLERANCE) -> bool:
    """Whether shapes agree and no element is off by more than ``tolerance`` × the scale."""
    if actual.shape != expected.shape:
        return False
    if expected.dtype.kind not in "fc" or actual.dtype.kind not in "fc":
        return bool(np.array_equal(actual, expected))
    if not expected.size:
        return True
    finite = np.isfinite(expected)
    if not finite.all():
        same = np.array_equal(actual[~finite], expected[~finite], equal_nan=True)
        return bool(same and close(actual[finite], expected[finite], tolerance))
    scale = float(np.abs(expected).max())
    with np.errstate(all="ignore"):
        return bool(np.abs(actual - expected).max() <= tolerance * scale + 1e-12)


def within(gap: np.ndarray, scale: np.ndarray, tolerance: float = TOLERANCE) -> bool:
    """Whether no element of a difference exceeds ``tolerance`` × the largest of ``scale``."""
    return bool(np.abs(gap).max(initial=0) <= tolerance * np.abs(scale).max(initial=0) + 1e-12)


def all_close(
    actual: Sequence[np.ndarray], expected: Sequence[np.ndarray], tolerance: float = TOLERANCE
) -> bool:
    """Whether two lists of arrays agree one by one."""
    return len(actual) == len(expected) and all(
        close(a, e, tolerance) for a, e in zip(actual, expected, strict=True)
    )


def worst(actual: np.ndarray, expected: np.ndarray) -> tuple[float, tuple[int, ...]]:
    """The largest difference and its index; a value that is not finite counts as infinite."""
    with np.errstate(all="ignore"):
        gap = np.abs(_wide(actual) - _wide(expected))
    gap = np.where(np.isnan(gap), np.inf, gap)
    index = np.unravel_index(int(gap.argmax()), gap.shape)
    return float(gap[index]), tuple(int(i) for i in index)


def _wide(value: np.ndarray) -> np.ndarray:
    """Truth values and integers as floating-point numbers; complex ones stay."""
    return np.asarray(value, np.result_type(value, np.float64))


def relative_gap(actual: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> float:
    """The largest difference, as a share of the largest expected value."""
    gaps = (
        worst(a, e)[0] / (float(np.abs(e).max()) + 1e-300)
        for a, e in zip(actual, expected, strict=False)
        if a.shape == e.shape and a.size
    )
    return max(gaps, default=0.0)

"""What an example for a rule is, the table of all of them, and what their arrays are drawn from."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

Drawn = tuple[Callable[..., Any], list[Any]]


class Case(NamedTuple):
    """One family of examples: a strategy for (function, arguments), and the rules it needs."""

    rules: frozenset[str]
    examples: st.SearchStrategy[Drawn]
    tolerance: float
    count: int


CASES: dict[str, Case] = {}


def case(
    name: str,
    examples: st.SearchStrategy[Drawn],
    rule: str = "",
    tolerance: float = 1e-11,
    count: int = 15,
) -> None:
    """Add a case; it is named like the rule it needs unless `rule` says otherwise."""
    CASES[name] = Case(frozenset((rule or name).split()), examples, tolerance, count)


LENGTH = 8
"""Of elementwise arrays, all of one length so that JAX compiles each primitive only once."""
ODD_FLOATS = st.sampled_from([0.0, -0.0, 0.5, -2.5, math.inf, -math.inf, math.nan])


def floats(low: float = -10, high: float = 10, *, odd: bool = False) -> Any:
    usual = st.floats(low, high, allow_subnormal=False)
    return arrays(np.float64, LENGTH, elements=usual | ODD_FLOATS if odd else usual)


def integers(dtype: Any = np.int32, low: int | None = None, high: int | None = None) -> Any:
    limits = np.iinfo(dtype)
    low = limits.min if low is None else low
    high = limits.max if high is None else high
    corners = [x for x in (limits.min, -1, 0, 1, limits.max) if low <= x <= high]
    usual = st.integers(low, high)
    return arrays(dtype, LENGTH, elements=usual | st.sampled_from(corners) if corners else usual)


BOOLEANS = arrays(np.bool_, LENGTH)
COMPLEX = arrays(
    np.complex128, LENGTH, elements=st.complex_numbers(max_magnitude=9, allow_subnormal=False)
)
ANY_INTEGERS = st.sampled_from([np.int8, np.int32, np.int64, np.uint8, np.uint32]).flatmap(integers)
ANY_NUMBERS = floats(odd=True) | ANY_INTEGERS


def applied(function: Callable[..., Any], *arguments: Any) -> st.SearchStrategy[Drawn]:
    return st.tuples(st.just(function), st.tuples(*arguments).map(list))


def pairs(of: Any) -> Any:
    """Two arrays of one drawn dtype."""
    return of.flatmap(
        lambda x: st.permutations(list(range(LENGTH))).map(lambda order: (x, x[order]))
    )


def applied_to_pair(function: Callable[..., Any], of: Any) -> st.SearchStrategy[Drawn]:
    return st.tuples(st.just(function), pairs(of).map(list))


def values(shape: tuple[int, ...], dtype: Any = np.float64) -> np.ndarray:
    """Distinct numbers in a scrambled order."""
    size = math.prod(shape)
    numbers = np.random.default_rng(size).permutation(size) - size // 3
    return (
        (numbers if dtype in (np.int32, np.int64) else numbers * 0.37).astype(dtype).reshape(shape)
    )


def shapes(min_dims: int = 0, max_dims: int = 3, min_side: int = 0) -> Any:
    return st.lists(st.integers(min_side, 4), min_size=min_dims, max_size=max_dims).map(tuple)

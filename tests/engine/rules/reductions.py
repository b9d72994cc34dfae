"""Primitives that reduce, accumulate or sort along an axis."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from jax import lax

from tests.engine.rules.cases import Drawn, case, shapes, values

REDUCERS: dict[str, Callable[..., Any]] = {
    "reduce_sum": lax.reduce_sum,
    "reduce_prod": lax.reduce_prod,
    "reduce_max": lax.reduce_max,
    "reduce_min": lax.reduce_min,
    "reduce_and": lax.reduce_and,
    "reduce_or": lax.reduce_or,
    "reduce_xor": lax.reduce_xor,
}


@st.composite
def reductions(draw: Any, reducer: Callable[..., Any], dtypes: list[Any]) -> Drawn:
    shape = draw(shapes(1))
    axes = sorted(draw(st.sets(st.integers(0, len(shape) - 1))))
    x = values(shape, np.int64).astype(draw(st.sampled_from(dtypes)))
    return lambda x: reducer(x, axes), [x]


for primitive, function in REDUCERS.items():
    bitwise = primitive in ("reduce_and", "reduce_or", "reduce_xor")
    case(
        primitive,
        reductions(function, [np.int32, np.bool_] if bitwise else [np.float64, np.int32, np.uint8]),
    )


@st.composite
def positions(draw: Any, find: Callable[..., Any]) -> Drawn:
    shape = draw(shapes(1, min_side=1))
    axis = draw(st.integers(0, len(shape) - 1))
    index_dtype = draw(st.sampled_from([np.int32, np.uint8]))
    elements = st.sampled_from([-1.0, 0.0, 2.0, math.nan])
    x = draw(arrays(np.float64, shape, elements=elements))
    return lambda x: find(x, axis, index_dtype), [x]


case("argmax", positions(lax.argmax))
case("argmin", positions(lax.argmin))


@st.composite
def cumulations(draw: Any, function: Callable[..., Any], dtypes: list[Any]) -> Drawn:
    shape = draw(shapes(1))
    axis = draw(st.integers(0, len(shape) - 1))
    reverse = draw(st.booleans())
    return partial(function, axis=axis, reverse=reverse), [
        values(shape, draw(st.sampled_from(dtypes)))
    ]


for primitive in ("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp"):
    dtypes = [np.float64] if primitive == "cumlogsumexp" else [np.float64, np.int32]
    case(primitive, cumulations(getattr(lax, primitive), dtypes))


TIED = st.sampled_from([-1.0, -0.0, 0.0, 2.0, math.inf, math.nan])


@st.composite
def sorts(draw: Any) -> Drawn:
    shape = draw(shapes(1, max_dims=2))
    axis = draw(st.integers(0, len(shape) - 1))
    keys = [draw(arrays(np.float64, shape, elements=TIED)) for _ in range(draw(st.integers(1, 2)))]
    columns = [*keys, values(shape)] if draw(st.booleans()) else keys
    return lambda *xs: lax.sort(xs, dimension=axis, num_keys=len(keys)), columns


@st.composite
def tops(draw: Any) -> Drawn:
    shape = draw(shapes(1, max_dims=2))
    axis = draw(st.integers(0, len(shape) - 1))
    count = draw(st.integers(0, shape[axis]))
    elements = st.sampled_from([-1.0, 0.0, 2.0, math.inf, math.nan])
    return lambda x: lax.top_k(x, count, axis=axis), [
        draw(arrays(np.float64, shape, elements=elements))
    ]


case("sort", sorts(), count=30)
case("top_k", tops(), count=30)

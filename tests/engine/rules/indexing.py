"""Primitives that read from or write to places."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from jax import lax

from tests.engine.rules.cases import Drawn, applied, case, floats, shapes, values


@st.composite
def gather_numbers(draw: Any) -> Any:
    """Shapes and dimension numbers of a random gather, and its mode."""
    operand = draw(shapes(1, min_side=1))
    axes = range(len(operand))
    batch = draw(shapes(0, 2, min_side=1))
    batching: list[int] = []
    indices_batching: list[int] = []
    if batch and draw(st.booleans()):
        batching = [draw(st.sampled_from(axes))]
        indices_batching = [draw(st.integers(0, len(batch) - 1))]
        operand = tuple(
            batch[indices_batching[0]] if axis in batching else size
            for axis, size in enumerate(operand)
        )
    free = [axis for axis in axes if axis not in batching]
    mapped = draw(st.permutations(free))[: draw(st.integers(0 if batching else 1, len(free)))]
    collapsed = sorted(axis for axis in free if draw(st.booleans()))
    sizes = tuple(
        1 if axis in (*collapsed, *batching) else draw(st.integers(1, operand[axis]))
        for axis in axes
    )
    offset_count = len(operand) - len(collapsed) - len(batching)
    places = draw(st.permutations(range(len(batch) + offset_count)))
    mode = draw(st.sampled_from(["clip", "fill"]))
    return SimpleNamespace(
        operand=operand,
        indices=(*batch, len(mapped)),
        offset_dims=tuple(sorted(places[:offset_count])),
        collapsed=tuple(collapsed),
        mapped=tuple(mapped),
        batching=tuple(batching),
        indices_batching=tuple(indices_batching),
        sizes=sizes,
        mode=mode,
    )


@st.composite
def gathers(draw: Any) -> Drawn:
    numbers = draw(gather_numbers())
    dimension_numbers = lax.GatherDimensionNumbers(
        offset_dims=numbers.offset_dims,
        collapsed_slice_dims=numbers.collapsed,
        start_index_map=numbers.mapped,
        operand_batching_dims=numbers.batching,
        start_indices_batching_dims=numbers.indices_batching,
    )
    indices = draw(arrays(np.int32, numbers.indices, elements=st.integers(-2, 5)))
    dtype = draw(st.sampled_from([np.float64, np.int32, np.uint8, np.bool_]))
    fill = draw(st.sampled_from([None, 1]))
    return (
        lambda x, at: lax.gather(
            x, at, dimension_numbers, numbers.sizes, mode=numbers.mode, fill_value=fill
        ),
        [values(numbers.operand).astype(dtype), indices],
    )


@st.composite
def scatters(draw: Any, function: Callable[..., Any]) -> Drawn:
    numbers = draw(gather_numbers())
    dimension_numbers = lax.ScatterDimensionNumbers(
        update_window_dims=numbers.offset_dims,
        inserted_window_dims=numbers.collapsed,
        scatter_dims_to_operand_dims=numbers.mapped,
        operand_batching_dims=numbers.batching,
        scatter_indices_batching_dims=numbers.indices_batching,
    )
    window = iter(
        [
            size
            for axis, size in enumerate(numbers.sizes)
            if axis not in (*numbers.collapsed, *numbers.batching)
        ]
    )
    batch = iter(numbers.indices[:-1])
    rank = len(numbers.offset_dims) + len(numbers.indices) - 1
    updates = tuple(next(window if i in numbers.offset_dims else batch) for i in range(rank))
    indices = draw(arrays(np.int32, numbers.indices, elements=st.integers(-2, 5)))
    return (
        lambda x, at, update: function(x, at, update, dimension_numbers, mode=numbers.mode),
        [values(numbers.operand), indices, values(updates) + 0.5],
    )


case("gather", gathers(), count=35)
case("scatter", scatters(lax.scatter), count=25)
case("scatter-add", scatters(lax.scatter_add), count=25)
case("scatter-sub", scatters(lax.scatter_sub), count=10)
case("scatter-mul", scatters(lax.scatter_mul), count=10)
case("scatter-min", scatters(lax.scatter_min), count=10)
case("scatter-max", scatters(lax.scatter_max), count=10)
case(
    "scatter-add once",
    applied(lambda x: jnp.asarray(x).at[jnp.array([5, 2])].add(1.5, unique_indices=True), floats()),
    "scatter-add",
)


@st.composite
def dynamic_slices(draw: Any, *, update: bool) -> Drawn:
    shape = draw(shapes(1))
    sizes = tuple(draw(st.integers(0, size)) for size in shape)
    starts = [np.int32(draw(st.integers(-3, 6))) for _ in shape]
    if update:
        return (
            lambda x, y, *at: lax.dynamic_update_slice(x, y, at),
            [values(shape), values(sizes) + 0.5, *starts],
        )
    return lambda x, *at: lax.dynamic_slice(x, at, sizes), [values(shape), *starts]


case("dynamic_slice", dynamic_slices(update=False))
case("dynamic_update_slice", dynamic_slices(update=True))

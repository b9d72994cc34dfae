"""Linear maps, and reductions over windows."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st
from jax import lax

from tests.engine.rules.cases import Drawn, applied, case, floats, integers, shapes, values


@st.composite
def dots(draw: Any) -> Drawn:
    labels = {label: draw(st.integers(1, 4)) for label in range(draw(st.integers(1, 5)))}
    kinds = {label: draw(st.sampled_from(["batch", "sum", "left", "right"])) for label in labels}
    left = draw(st.permutations([label for label in labels if kinds[label] != "right"]))
    right = draw(st.permutations([label for label in labels if kinds[label] != "left"]))
    of_kind = {
        kind: [label for label in labels if kinds[label] == kind] for kind in ("sum", "batch")
    }
    numbers = tuple(
        tuple([side.index(label) for label in of_kind[kind]] for side in (left, right))
        for kind in ("sum", "batch")
    )
    dtype = draw(st.sampled_from([np.float64, np.int32]))
    x, y = (values(tuple(labels[label] for label in side), dtype) for side in (left, right))
    return lambda x, y: lax.dot_general(x, y, numbers), [x, y]


case("dot_general", dots(), count=25)
case(
    "dot_general wider",
    applied(
        lambda x, y: lax.dot(x, y, preferred_element_type=np.int32),
        integers(np.int8),
        integers(np.int8),
    ),
    "dot_general",
)


@st.composite
def convolutions(draw: Any) -> Drawn:
    rank = draw(st.integers(0, 2))
    split = draw(st.sampled_from([(1, 1), (1, 1), (2, 1), (1, 2)]))
    feature_groups, batch_groups = split
    inputs, outputs = (
        draw(st.integers(1, 3)),
        draw(st.integers(1, 2)) * feature_groups * batch_groups,
    )
    image = (
        draw(st.integers(1, 2)) * batch_groups,
        inputs * feature_groups,
        *(draw(st.integers(3, 6)) for _ in range(rank)),
    )
    kernel = (outputs, inputs, *(draw(st.integers(1, 3)) for _ in range(rank)))
    specs = tuple(tuple(draw(st.permutations(range(rank + 2)))) for _ in range(3))
    x, y = (
        values(shape).transpose(np.argsort(spec))
        for shape, spec in zip((image, kernel), specs, strict=False)
    )

    def per_axis(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in range(rank))

    options = {
        "window_strides": per_axis(1, 3),
        "padding": tuple(zip(per_axis(-1, 2), per_axis(-1, 2), strict=True)),
        "lhs_dilation": per_axis(1, 2),
        "rhs_dilation": per_axis(1, 2),
        "dimension_numbers": lax.ConvDimensionNumbers(*specs),
        "feature_group_count": feature_groups,
        "batch_group_count": batch_groups,
    }
    return lambda x, y: lax.conv_general_dilated(x, y, **options), [x, y]


case("conv_general_dilated", convolutions(), count=25)
case(
    "conv_general_dilated of many",
    applied(
        lambda x: lax.conv_general_dilated(
            jnp.tile(x, (2, 100, 100, 1)) * jnp.arange(100)[:, None],
            jnp.tile(x, (6, 5, 1))[..., None],
            (1, 2),
            "SAME",
            rhs_dilation=(2, 1),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        ),
        floats(0, 1),
    ),
    "conv_general_dilated",
    tolerance=1e-8,
    count=2,
)


WINDOWS: dict[str, tuple[float, Callable[..., Any]]] = {
    "reduce_window_sum": (0.0, lax.add),
    "reduce_window_max": (-math.inf, lax.max),
    "reduce_window_min": (math.inf, lax.min),
}


@st.composite
def window_reductions(draw: Any, start: float, combine: Callable[..., Any]) -> Drawn:
    shape = draw(shapes(1, 2, min_side=1))

    def per_axis(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in shape)

    size, stride, base, dilation = per_axis(1, 3), per_axis(1, 3), per_axis(1, 2), per_axis(1, 2)
    padding = tuple(zip(per_axis(0, 2), per_axis(0, 2), strict=True))
    return (
        lambda x: lax.reduce_window(x, start, combine, size, stride, padding, base, dilation),
        [values(shape)],
    )


for primitive, (start, combine) in WINDOWS.items():
    case(primitive, window_reductions(start, combine), count=12)


@st.composite
def pooling_derivatives(draw: Any, *, forward: bool) -> Drawn:
    shape = draw(shapes(2, 2, min_side=3))
    size = tuple(draw(st.integers(1, 3)) for _ in shape)
    stride = tuple(draw(st.integers(1, 3)) for _ in shape)
    padding = draw(st.sampled_from(["SAME", "VALID"]))
    largest = draw(st.booleans())
    start, combine = (-math.inf, lax.max) if largest else (math.inf, lax.min)

    def pool(x: Any) -> Any:
        return lax.reduce_window(x, start, combine, size, stride, padding)

    x = values(shape)
    if forward:
        return lambda x, t: jax.jvp(pool, (x,), (t,)), [x, x * x]
    return jax.grad(lambda x: jnp.sum(pool(x) ** 2)), [x]


case("select_and_scatter_add", pooling_derivatives(forward=False), count=5)
case("select_and_gather_add", pooling_derivatives(forward=True), count=8)

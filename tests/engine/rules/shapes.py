"""Primitives that move numbers and compute none."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st
from jax import lax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from tests.engine.rules.cases import LENGTH, Drawn, applied, case, floats, shapes, values


@st.composite
def reshapes(draw: Any) -> Drawn:
    shape = draw(shapes(1))
    new = draw(st.permutations(shape))
    order = draw(st.none() | st.permutations(range(len(shape))))
    return lambda x: lax.reshape(x, new, order), [values(shape)]


@st.composite
def transposes(draw: Any) -> Drawn:
    shape = draw(shapes(2))
    order = draw(st.permutations(range(len(shape))))
    return lambda x: lax.transpose(x, order), [values(shape)]


@st.composite
def broadcasts(draw: Any) -> Drawn:
    out = draw(shapes(1))
    axes = sorted(draw(st.sets(st.integers(0, len(out) - 1))))
    given_shape = tuple(draw(st.sampled_from([1, out[axis]])) for axis in axes)
    return lambda x: lax.broadcast_in_dim(x, out, axes), [values(given_shape)]


@st.composite
def iotas(draw: Any) -> Drawn:
    shape = draw(shapes(1))
    axis = draw(st.integers(0, len(shape) - 1))
    dtype = draw(st.sampled_from([np.int32, np.uint8, np.float64]))
    return lambda: lax.broadcasted_iota(dtype, shape, axis), []


@st.composite
def slices(draw: Any) -> Drawn:
    shape = draw(shapes(1))
    starts = [draw(st.integers(0, size)) for size in shape]
    stops = [draw(st.integers(start, size)) for start, size in zip(starts, shape, strict=True)]
    steps = draw(st.none() | st.lists(st.integers(1, 3), min_size=len(shape), max_size=len(shape)))
    return lambda x: lax.slice(x, starts, stops, steps), [values(shape)]


@st.composite
def pads(draw: Any) -> Drawn:
    shape = draw(shapes(1))
    config = []
    for size in shape:
        inside = draw(st.integers(0, 2))
        width = size + max(0, size - 1) * inside
        low = draw(st.integers(-width, 3))
        high = draw(st.integers(-(width + low), 3))
        config.append((low, high, inside))
    return lambda x, value: lax.pad(x, value, config), [values(shape), np.float64(7)]


@st.composite
def reversals(draw: Any) -> Drawn:
    shape = draw(shapes(1))
    axes = sorted(draw(st.sets(st.integers(0, len(shape) - 1), min_size=1)))
    return lambda x: lax.rev(x, axes), [values(shape)]


@st.composite
def joins(draw: Any) -> Drawn:
    shape = draw(shapes(1))
    axis = draw(st.integers(0, len(shape) - 1))
    count = draw(st.integers(1, 3))
    sides = [draw(st.integers(0, 3)) for _ in range(count)]
    parts = [values((*shape[:axis], side, *shape[axis + 1 :])) for side in sides]
    return lambda *xs: lax.concatenate(xs, axis), parts


@st.composite
def splits(draw: Any) -> Drawn:
    shape = list(draw(shapes(1)))
    axis = draw(st.integers(0, len(shape) - 1))
    sizes = draw(st.lists(st.integers(0, 3), min_size=1, max_size=3))
    shape[axis] = sum(sizes)
    return lambda x: lax.split(x, sizes, axis), [values(tuple(shape))]


@st.composite
def stacks(draw: Any) -> Drawn:
    shape = draw(shapes())
    axis = draw(st.integers(0, len(shape)))
    count = draw(st.integers(1, 3))
    return lambda *xs: jnp.stack(xs, axis), [values(shape) + i for i in range(count)]


@st.composite
def unstacks(draw: Any) -> Drawn:
    shape = draw(shapes(1, min_side=1))
    axis = draw(st.integers(0, len(shape) - 1))
    return lambda x: jnp.unstack(x, axis=axis), [values(shape)]


@st.composite
def tilings(draw: Any) -> Drawn:
    shape = draw(shapes(1))
    repeats = tuple(draw(st.integers(0, 3)) for _ in shape)
    return lambda x: lax.tile(x, repeats), [values(shape)]


case("reshape", reshapes())
case("transpose", transposes())
case("broadcast_in_dim", broadcasts(), count=30)
case(
    "broadcast_in_dim to many",
    applied(
        lambda x: jnp.broadcast_to(x, (LENGTH, 4, 1024, LENGTH)) + x[:, None, None, None], floats()
    ),
    "broadcast_in_dim",
    count=2,
)
case("iota", iotas())
case("squeeze", applied(lambda x: jnp.squeeze(x[None, :, None], 0), floats()))
case("slice", slices())
case("pad", pads(), count=40)
case("rev", reversals())
case("concatenate", joins())
case("split", splits())
case("stack", stacks())
case("unstack", unstacks())
case("tile", tilings())
case(
    "platform_index",
    applied(
        lambda x: (
            lax.platform_dependent(x, cpu=lambda x: x + 1, default=lambda x: x - 1),
            lax.platform_dependent(x, tpu=lambda x: x + 1, default=lambda x: x - 1),
        ),
        floats(),
    ),
    count=1,
)


def on_one_device(x: Any) -> Any:
    """A sum over the devices of a mesh that has one, and its gradient."""
    mesh = Mesh(np.array(jax.devices()[:1]), ("devices",))
    everywhere = partial(jax.shard_map, mesh=mesh, in_specs=P(), out_specs=P())
    total = everywhere(lambda x: lax.psum(x * x, "devices"))
    unchecked = everywhere(lambda x: lax.psum(x * x, "devices"), check_vma=False)
    return total(x), jax.grad(lambda x: unchecked(x).sum())(x)


case("psum", applied(on_one_device, floats()), "psum psum_invariant", count=2)

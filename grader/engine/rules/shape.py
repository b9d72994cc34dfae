"""Primitives that create, move, cut or repeat elements at positions known in advance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from grader.engine.rules.rule import Compute, Rule, always
from grader.engine.rules.values import held_dtype

_COPY_BELOW = 1 << 16
"""Elements below which a copy is faster than a broadcast view and what follows on it."""


def _same(x: Any) -> Any:
    return x


def _same_all(*xs: Any) -> list[Any]:
    return list(xs)


def _second(x: Any, y: Any) -> Any:
    return y


def _out_shape(eqn: Any) -> tuple[int, ...]:
    return tuple(eqn.outvars[0].aval.shape)


def _reshape(eqn: Any) -> Compute:
    shape, order = _out_shape(eqn), eqn.params.get("dimensions")
    if order is not None and tuple(order) != tuple(range(len(order))):
        return lambda x: x.transpose(order).reshape(shape)
    return lambda x: x.reshape(shape)


def _to_out_shape(eqn: Any) -> Compute:
    shape = _out_shape(eqn)
    return lambda x: x.reshape(shape)


def _transpose(eqn: Any) -> Compute:
    order = tuple(eqn.params["permutation"])
    return lambda x: x.transpose(order)


def _broadcast_in_dim(eqn: Any) -> Compute:
    shape = _out_shape(eqn)
    given = eqn.invars[0].aval
    aligned = [1] * len(shape)
    for size, dimension in zip(given.shape, eqn.params["broadcast_dimensions"], strict=True):
        aligned[dimension] = size
    lined_up = tuple(aligned)
    if lined_up == shape:
        return lambda x: x.reshape(shape)
    if math.prod(shape) > _COPY_BELOW:
        return lambda x: np.broadcast_to(x.reshape(lined_up), shape)
    dtype = held_dtype(given.dtype)

    def fill(x: Any) -> Any:
        out = np.empty(shape, dtype)
        out[...] = x.reshape(lined_up)
        return out

    return fill


def _iota(eqn: Any) -> Compute:
    shape, dimension = _out_shape(eqn), eqn.params["dimension"]
    dtype = held_dtype(eqn.params["dtype"])

    def count() -> Any:
        line = [1] * len(shape)
        line[dimension] = shape[dimension]
        return np.broadcast_to(np.arange(shape[dimension]).astype(dtype).reshape(line), shape)

    return count


def _platform_index(eqn: Any) -> Compute:
    """Which branch is for this platform: NumPy computes what a CPU would."""
    platforms = eqn.params["platforms"]
    own = [i for i, names in enumerate(platforms) if names is not None and "cpu" in names]
    index = np.int32(own[0] if own else platforms.index(None))
    return lambda: index


def _slice(eqn: Any) -> Compute:
    starts, stops = eqn.params["start_indices"], eqn.params["limit_indices"]
    steps = eqn.params["strides"] or (1,) * len(starts)
    cut = tuple(slice(*bounds) for bounds in zip(starts, stops, steps, strict=True))
    return lambda x: x[cut]


def _reverse(eqn: Any) -> Compute:
    flipped = set(eqn.params["dimensions"])
    rank = eqn.invars[0].aval.ndim
    cut = tuple(slice(None, None, -1 if axis in flipped else None) for axis in range(rank))
    return lambda x: x[cut]


def _concatenate(eqn: Any) -> Compute:
    axis = eqn.params["dimension"]
    return lambda *xs: np.concatenate(xs, axis)


def _split(eqn: Any) -> Compute:
    axis, sizes = eqn.params["axis"], [int(size) for size in eqn.params["sizes"]]
    stops = list(accumulate(sizes))
    before = (slice(None),) * axis
    cuts = [(*before, slice(stop - size, stop)) for size, stop in zip(sizes, stops, strict=True)]
    return lambda x: [x[cut] for cut in cuts]


def _stack(eqn: Any) -> Compute:
    axis = eqn.params["axis"]
    return lambda *xs: np.stack(xs, axis)


def _unstack(eqn: Any) -> Compute:
    before = (slice(None),) * eqn.params["axis"]
    cuts = [(*before, index) for index in range(len(eqn.outvars))]
    return lambda x: [x[cut] for cut in cuts]


def _tile(eqn: Any) -> Compute:
    repeats = tuple(eqn.params["reps"])
    return lambda x: np.tile(x, repeats)


def pad(x: Any, value: Any, config: Sequence[tuple[int, int, int]]) -> np.ndarray:
    """XLA's pad: `config` gives (low, high, interior) per axis; low and high may be negative."""
    array = np.asarray(x)
    spread = [
        max(0, size + max(0, size - 1) * inside)
        for size, (_, _, inside) in zip(array.shape, config, strict=True)
    ]
    shape = [size + low + high for size, (low, high, _) in zip(spread, config, strict=True)]
    out = np.empty(shape, array.dtype)
    out[...] = value
    target, source = [], []
    for size, width, (low, _, inside) in zip(array.shape, shape, config, strict=True):
        step = inside + 1
        first = max(0, -(low // step))  # the first element that lands at or after zero
        last = min(size, -((low - width) // step))  # one past the last that lands inside
        last = max(first, last)
        source.append(slice(first, last))
        target.append(
            slice(low + first * step, low + last * step, step) if last > first else slice(0, 0)
        )
    out[tuple(target)] = array[tuple(source)]
    return out


def _pad(eqn: Any) -> Compute:
    config = [
        (int(low), int(high), int(inside)) for low, high, inside in eqn.params["padding_config"]
    ]
    return lambda x, value: pad(x, value, config)


def _sum_over_one_device(eqn: Any) -> Compute | None:
    """Only meshes of one device are evaluated here."""
    if not all(isinstance(axis, str) for axis in eqn.params["axes"]):
        return None
    return _same_all if eqn.primitive.multiple_results else _same


RULES: dict[str, Rule] = {
    "reshape": _reshape,
    "squeeze": _to_out_shape,
    "transpose": _transpose,
    "broadcast_in_dim": _broadcast_in_dim,
    "iota": _iota,
    "platform_index": _platform_index,
    "slice": _slice,
    "rev": _reverse,
    "concatenate": _concatenate,
    "split": _split,
    "stack": _stack,
    "unstack": _unstack,
    "tile": _tile,
    "pad": _pad,
    "copy": always(_same),
    "copy_p": always(_same),
    "name": always(_same),
    "stop_gradient": always(_same),
    "sharding_constraint": always(_same),
    "layout_constraint": always(_same),
    "reshard": always(_same),
    "pvary": always(_same),
    "tie": always(_second),
    "psum": _sum_over_one_device,
    "psum_invariant": _sum_over_one_device,
    "device_put": always(_same_all),
    "optimization_barrier": always(_same_all),
}

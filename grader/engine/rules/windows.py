"""Reductions over sliding windows (pooling) and their derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from grader.engine.rules.reductions import highest, lowest
from grader.engine.rules.rule import Compute, Rule
from grader.engine.rules.shape import pad
from grader.engine.rules.values import held_dtype


def window_config(eqn: Any) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]:
    """Pad configuration, and (size, stride, dilation) of the window, per axis."""
    params = eqn.params
    rank = len(params["window_dimensions"])
    base = params.get("base_dilation") or (1,) * rank
    dilation = params.get("window_dilation") or (1,) * rank
    config = [
        (low, high, step - 1) for (low, high), step in zip(params["padding"], base, strict=True)
    ]
    window = list(zip(params["window_dimensions"], params["window_strides"], dilation, strict=True))
    return config, window


def _reduce_window(ufunc: np.ufunc, identity: Callable[[np.dtype[Any]], Any]) -> Rule:
    """Box windows reduce one axis after the other."""

    def rule(eqn: Any) -> Compute:
        config, window = window_config(eqn)
        dtype = held_dtype(eqn.outvars[0].aval.dtype)
        shape = tuple(eqn.outvars[0].aval.shape)
        padding = identity(dtype)
        pads = any(entry != (0, 0, 0) for entry in config)

        def reduce(x: Any) -> Any:
            if pads:
                x = pad(x, padding, config)
            for axis, (size, stride, dilation) in enumerate(window):
                before = (slice(None),) * axis
                reach = (shape[axis] - 1) * stride + 1
                out = None
                for start in range(0, size * dilation, dilation):
                    part = x[(*before, slice(start, start + max(reach, 0), stride))]
                    out = part if out is None else ufunc(out, part)
                x = out
            return x

        return reduce

    return rule


def _selected(eqn: Any, operand_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> Any:
    """A function from the operand to the place in the padded operand that each window selects.

    Also returns the pad configuration and the padded shape.
    """
    config, window = window_config(eqn)
    keeps_larger = eqn.params["select_prim"].name == "ge"
    padded = tuple(
        max(0, size + (size - 1) * inside) + low + high
        for size, (low, high, inside) in zip(operand_shape, config, strict=True)
    )
    corners = np.zeros(out_shape, np.intp)
    steps = np.zeros([size for size, _, _ in window], np.intp)
    for axis, (size, stride, dilation) in enumerate(window):
        below = int(np.prod(padded[axis + 1 :], dtype=np.intp))
        line = [1] * len(window)
        line[axis] = -1
        corners = corners + (np.arange(out_shape[axis]) * stride * below).reshape(line)
        steps = steps + (np.arange(size) * dilation * below).reshape(line)
    candidates = corners[..., None] + steps.ravel()

    def select(operand: Any) -> Any:
        dtype = operand.dtype
        outside = lowest(dtype) if keeps_larger else highest(dtype)
        values = pad(operand, outside, config).ravel()[candidates]
        best = values.argmax(-1) if keeps_larger else values.argmin(-1)
        return np.take_along_axis(candidates, best[..., None], -1)[..., 0]

    return select, config, padded


def _select_and_scatter_add(eqn: Any) -> Compute:
    source, operand = (tuple(var.aval.shape) for var in eqn.invars)
    select, config, padded = _selected(eqn, operand, source)
    crop = tuple(slice(low, low + size) for size, (low, _, _) in zip(operand, config, strict=True))

    def scatter(values: Any, x: Any) -> Any:
        out = np.zeros(padded, values.dtype)
        np.add.at(out.reshape(-1), select(x).ravel(), values.ravel())
        return out[crop]

    return scatter


def _select_and_gather_add(eqn: Any) -> Compute:
    operand = tuple(eqn.invars[1].aval.shape)
    out_shape = tuple(eqn.outvars[0].aval.shape)
    select, config, _ = _selected(eqn, operand, out_shape)

    def gather(tangents: Any, x: Any) -> Any:
        return pad(tangents, tangents.dtype.type(0), config).ravel()[select(x)]

    return gather


RULES: dict[str, Rule] = {
    "reduce_window_sum": _reduce_window(np.add, lambda dtype: dtype.type(0)),
    "reduce_window_max": _reduce_window(np.maximum, lowest),
    "reduce_window_min": _reduce_window(np.minimum, highest),
    "select_and_scatter_add": _select_and_scatter_add,
    "select_and_gather_add": _select_and_gather_add,
}

"""Convolution of any layout as matrix products over unfolded windows.

Images are brought to (groups, batch, *space, inputs) and kernels to (groups, *space, inputs,
outputs), where the groups are those of the features or of the batch, one product for each.
"""

from __future__ import annotations

import math
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from grader.engine.rules.rule import Compute, Rule
from grader.engine.rules.shape import pad
from grader.engine.rules.values import held_dtype

_UNFOLD_BELOW = 1 << 22
"""Elements up to which all windows are laid out at once, instead of one tap at a time."""


class _Geometry(NamedTuple):
    groups: int
    batch: int
    inputs: int
    outputs: int
    """Sizes within one group."""
    kernel: tuple[int, ...]
    space: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]

    @property
    def rows(self) -> int:
        """Windows per group."""
        return self.batch * math.prod(self.space)

    @property
    def depth(self) -> int:
        """Elements per window."""
        return self.inputs * math.prod(self.kernel)


def _geometry(eqn: Any) -> _Geometry:
    params, numbers = eqn.params, eqn.params["dimension_numbers"]
    image, kernel = (var.aval.shape for var in eqn.invars)
    out_shape = eqn.outvars[0].aval.shape
    groups = params["feature_group_count"] * params["batch_group_count"]  # one of them is 1
    rank = len(numbers.lhs_spec) - 2
    return _Geometry(
        groups=groups,
        batch=image[numbers.lhs_spec[0]] // params["batch_group_count"],
        inputs=kernel[numbers.rhs_spec[1]],
        outputs=kernel[numbers.rhs_spec[0]] // groups,
        kernel=tuple(kernel[axis] for axis in numbers.rhs_spec[2:]),
        space=tuple(out_shape[axis] for axis in numbers.out_spec[2:]),
        strides=tuple(params["window_strides"]),
        dilation=tuple(params["rhs_dilation"] or (1,) * rank),
    )


def _unfolded(image: Any, weights: Any, geometry: _Geometry) -> Any:
    """All windows as the rows of one matrix per group."""
    g, steps = geometry, image.strides
    windows = as_strided(
        image,
        (g.groups, g.batch, *g.space, *g.kernel, g.inputs),
        (
            *steps[:2],
            *(step * by for step, by in zip(steps[2:-1], g.strides, strict=True)),
            *(step * by for step, by in zip(steps[2:-1], g.dilation, strict=True)),
            steps[-1],
        ),
        writeable=False,
    )
    rows = windows.reshape(g.groups, g.rows, g.depth)
    return np.matmul(rows, weights.reshape(g.groups, g.depth, g.outputs))


def _tap_by_tap(image: Any, weights: Any, geometry: _Geometry) -> Any:
    """One product per kernel position, in little memory."""
    g = geometry
    total = np.zeros((g.groups, g.rows, g.outputs), image.dtype)
    for tap in product(*(range(size) for size in g.kernel)):
        cut = tuple(
            slice(at * apart, at * apart + (size - 1) * by + 1, by)
            for at, apart, size, by in zip(tap, g.dilation, g.space, g.strides, strict=True)
        )
        rows = image[(slice(None), slice(None), *cut)].reshape(g.groups, g.rows, g.inputs)
        total += np.matmul(rows, weights[(slice(None), *tap)])
    return total


def _arrange_image(eqn: Any, geometry: _Geometry) -> Compute:
    params, g = eqn.params, geometry
    spec = params["dimension_numbers"].lhs_spec
    order = (spec[0], *spec[2:], spec[1])
    spread = params["lhs_dilation"] or (1,) * len(g.space)
    padding = zip(params["padding"], spread, strict=True)
    config = [(0, 0, 0), *((low, high, by - 1) for (low, high), by in padding), (0, 0, 0)]
    pads = any(entry != (0, 0, 0) for entry in config)
    by_batch = params["batch_group_count"] > 1

    def arrange(x: Any) -> Any:
        x = x.transpose(order)
        if pads:
            x = pad(x, x.dtype.type(0), config)
        if g.groups == 1:
            return x[None]
        if by_batch:
            return x.reshape(g.groups, g.batch, *x.shape[1:])
        return np.moveaxis(x.reshape(*x.shape[:-1], g.groups, g.inputs), -2, 0)

    return arrange


def _arrange_kernel(eqn: Any, geometry: _Geometry) -> Compute:
    g, spec = geometry, eqn.params["dimension_numbers"].rhs_spec
    order = (*spec[2:], spec[1], spec[0])
    split = (*g.kernel, g.inputs, g.groups, g.outputs)
    return lambda y: np.moveaxis(y.transpose(order).reshape(split), -2, 0)


def _conv_general_dilated(eqn: Any) -> Compute:
    g = _geometry(eqn)
    arrange_image, arrange_kernel = _arrange_image(eqn, g), _arrange_kernel(eqn, g)
    multiply = _unfolded if g.groups * g.rows * g.depth <= _UNFOLD_BELOW else _tap_by_tap
    spec = eqn.params["dimension_numbers"].out_spec
    out_order = np.argsort((spec[0], *spec[2:], spec[1]))
    out_shape = tuple(eqn.outvars[0].aval.shape)
    dtype = held_dtype(eqn.outvars[0].aval.dtype)
    is_empty = math.prod(out_shape) == 0 or g.depth == 0

    def convolve(x: Any, y: Any) -> Any:
        if is_empty:
            return np.zeros(out_shape, dtype)
        image = arrange_image(x.astype(dtype, copy=False))
        found = multiply(image, arrange_kernel(y.astype(dtype, copy=False)), g)
        found = found.reshape(g.groups, g.batch, *g.space, g.outputs)
        joined = np.moveaxis(found, 0, -2).reshape(g.batch, *g.space, g.groups * g.outputs)
        return joined.transpose(out_order)

    return convolve


RULES: dict[str, Rule] = {"conv_general_dilated": _conv_general_dilated}

"""Convolution of any layout as matrix products over unfolded windows."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from grader.engine.rules.rule import Compute, Rule
from grader.engine.rules.shape import pad
from grader.engine.rules.values import held_dtype

_UNFOLD_BELOW = 1 << 22
"""Elements up to which all windows are laid out at once, instead of one tap at a time."""


def _conv_general_dilated(eqn: Any) -> Compute:
    params = eqn.params
    numbers = params["dimension_numbers"]
    left, right = (tuple(var.aval.shape) for var in eqn.invars)
    out_shape = tuple(eqn.outvars[0].aval.shape)
    dtype = held_dtype(eqn.outvars[0].aval.dtype)
    rank = len(numbers.lhs_spec) - 2
    groups, batch_groups = params["feature_group_count"], params["batch_group_count"]
    strides = params["window_strides"]
    dilation = params["rhs_dilation"] or (1,) * rank
    spread = params["lhs_dilation"] or (1,) * rank

    # Held layouts: images (batch, *space, features), kernels (*space, inputs, outputs).
    left_order = (numbers.lhs_spec[0], *numbers.lhs_spec[2:], numbers.lhs_spec[1])
    right_order = (*numbers.rhs_spec[2:], numbers.rhs_spec[1], numbers.rhs_spec[0])
    out_order = [0] * (rank + 2)
    for held_axis, axis in enumerate((numbers.out_spec[0], *numbers.out_spec[2:])):
        out_order[axis] = held_axis
    out_order[numbers.out_spec[1]] = rank + 1

    config = [(0, 0, 0)]
    config += [
        (low, high, step - 1) for (low, high), step in zip(params["padding"], spread, strict=True)
    ]
    config += [(0, 0, 0)]
    pads = any(entry != (0, 0, 0) for entry in config)
    batch, features = left[left_order[0]], left[left_order[-1]]
    kernel = tuple(right[axis] for axis in right_order[:rank])
    inputs, outputs = (right[axis] for axis in right_order[rank:])
    space = tuple(out_shape[axis] for axis in numbers.out_spec[2:])
    split = groups * batch_groups  # at most one of the two exceeds one
    depth = inputs * math.prod(kernel)
    rows = (batch // batch_groups) * math.prod(space)
    unfolds = split * rows * depth <= _UNFOLD_BELOW

    def grouped_image(x: Any) -> Any:
        """(split, batch, *space, inputs)."""
        x = x.transpose(left_order)
        if pads:
            x = pad(x, dtype.type(0), config)
        if batch_groups > 1:
            return x.reshape(batch_groups, batch // batch_groups, *x.shape[1:])
        if groups > 1:
            return np.moveaxis(x.reshape(*x.shape[:-1], groups, features // groups), -2, 0)
        return x[None]

    def grouped_kernel(y: Any) -> Any:
        """(split, *space, inputs, outputs)."""
        y = y.transpose(right_order)
        return np.moveaxis(y.reshape(*kernel, inputs, split, outputs // split), -2, 0)

    def unfolded(image: Any, weights: Any) -> Any:
        steps = image.strides
        windows = as_strided(
            image,
            (split, image.shape[1], *space, *kernel, inputs),
            (
                *steps[:2],
                *(s * by for s, by in zip(steps[2:-1], strides, strict=True)),
                *(s * by for s, by in zip(steps[2:-1], dilation, strict=True)),
                steps[-1],
            ),
            writeable=False,
        )
        left_matrix = windows.reshape(split, rows, depth)
        return np.matmul(left_matrix, weights.reshape(split, depth, outputs // split))

    def tap_by_tap(image: Any, weights: Any) -> Any:
        total = np.zeros((split, rows, outputs // split), dtype)
        for tap in product(*(range(size) for size in kernel)):
            firsts = [at * by for at, by in zip(tap, dilation, strict=True)]
            cut = tuple(
                slice(first, first + (size - 1) * by + 1, by)
                for first, size, by in zip(firsts, space, strides, strict=True)
            )
            part = image[(slice(None), slice(None), *cut)].reshape(split, rows, inputs)
            total += np.matmul(part, weights[(slice(None), *tap)])
        return total

    multiply = unfolded if unfolds else tap_by_tap

    def convolve(x: Any, y: Any) -> Any:
        if math.prod(out_shape) == 0 or depth == 0:
            return np.zeros(out_shape, dtype)
        x, y = x.astype(dtype, copy=False), y.astype(dtype, copy=False)
        found = multiply(grouped_image(x), grouped_kernel(y))
        found = found.reshape(split, batch // batch_groups, *space, outputs // split)
        joined = np.moveaxis(found, 0, -2).reshape(batch // batch_groups, *space, outputs)
        return joined.transpose(out_order)

    return convolve


RULES: dict[str, Rule] = {"conv_general_dilated": _conv_general_dilated}

"""Matrix products."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from grader.engine.rules.rule import Compute, Rule
from grader.engine.rules.values import held_dtype


def _arrange(order: tuple[int, ...], shape: tuple[int, ...]) -> Compute | None:
    """Transpose then reshape; None when the order is already right and only shape matters."""
    if order == tuple(range(len(order))):
        return None
    return lambda x: x.transpose(order).reshape(shape)


def _dot_general(eqn: Any) -> Compute:
    (left_sum, right_sum), (left_batch, right_batch) = (
        tuple(tuple(axes) for axes in pair) for pair in eqn.params["dimension_numbers"]
    )
    left, right = (tuple(var.aval.shape) for var in eqn.invars)
    left_free = tuple(i for i in range(len(left)) if i not in left_sum + left_batch)
    right_free = tuple(i for i in range(len(right)) if i not in right_sum + right_batch)
    batch = tuple(left[i] for i in left_batch)
    inner = math.prod(left[i] for i in left_sum)
    left_shape = (*batch, math.prod(left[i] for i in left_free), inner)
    right_shape = (*batch, inner, math.prod(right[i] for i in right_free))
    arrange_left = _arrange(left_batch + left_free + left_sum, left_shape)
    arrange_right = _arrange(right_batch + right_sum + right_free, right_shape)
    out_shape = tuple(eqn.outvars[0].aval.shape)
    dtype = held_dtype(eqn.outvars[0].aval.dtype)
    cast = any(held_dtype(var.aval.dtype) != dtype for var in eqn.invars)

    def multiply(x: Any, y: Any) -> Any:
        if cast:
            x, y = x.astype(dtype), y.astype(dtype)
        x = x.reshape(left_shape) if arrange_left is None else arrange_left(x)
        y = y.reshape(right_shape) if arrange_right is None else arrange_right(y)
        return np.matmul(x, y).reshape(out_shape)

    return multiply


RULES: dict[str, Rule] = {"dot_general": _dot_general}

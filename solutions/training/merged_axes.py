"""Products of arrays with many axes as products of two matrices.

Whoever multiplies tokens (B, T, D) with a kernel (D, M) gets a product that XLA computes as it
stands.  Its gradient with respect to the kernel sums over B and T at once, and for that XLA on
CPUs first copies both operands into another order.  Of the same product over (B·T, D) nothing is
copied: the benchmark's ViT trained at 1.14 times the images/s (two cores of an AMD EPYC, medians of
12 turns), at 0.99 of PyTorch's in place of 0.87 (in two runs of the benchmark at 0.95 and 1.08).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from jax import lax

from solutions.training.narrow import Dimensions, others

_LARGE = 5 * 10**7
"""Multiplications of a product.  Those of `digits` have 36 million at most, and its steps took 5 %
longer with merged axes: XLA has another kernel for small products then, which is slower.  Those of
`cifar10-small` have 75 million and more, and its steps took 0.70 to 0.83 of their time (the fastest
of fourteen, in three turns on a machine that others used, too)."""


def gains_from_merging(equation: Any) -> bool:
    """Whether a product is large enough, and of two arrays as they stand.

    Products along batch axes, as of queries and keys, took as long either way.
    """
    (summed, _), (batch, _) = equation.params["dimension_numbers"]
    left, result = equation.invars[0].aval, equation.outvars[0].aval
    return not batch and result.size * math.prod(left.shape[axis] for axis in summed) >= _LARGE


def merged(left: Any, right: Any, dimensions: Dimensions, precision: Any) -> Any:
    """``lax.dot_general`` without batch axes, by a product of two matrices.

    Args:
      left: any number of axes.
      right: likewise.
      dimensions: as in ``lax.dot_general``, which gives the order of the result's axes.
      precision: likewise.

    """
    (of_left, of_right), _ = dimensions
    matrix_left, axis_left, kept_left = _as_matrix(left, of_left)
    matrix_right, axis_right, kept_right = _as_matrix(right, of_right)
    summed = ((axis_left,), (axis_right,)), ((), ())
    product = lax.dot_general(matrix_left, matrix_right, summed, precision)
    return product.reshape(*kept_left, *kept_right)


def _as_matrix(array: Any, summed: Sequence[int]) -> tuple[Any, int, list[int]]:
    """The array with one axis for those that are kept and one for those that are summed over.

    Which comes first follows the array.  The axis that is summed over is returned, too, and the
    sizes of those that are kept.
    """
    kept = others(array.ndim, summed)
    sums_last = not kept or not summed or kept[0] < summed[0]
    order = [kept, summed] if sums_last else [summed, kept]
    sizes = [math.prod(array.shape[axis] for axis in part) for part in order]
    matrix = array.transpose([axis for part in order for axis in part]).reshape(sizes)
    return matrix, int(sums_last), [array.shape[axis] for axis in kept]

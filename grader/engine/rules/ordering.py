"""Sorting and the largest elements."""

from __future__ import annotations

from typing import Any

import numpy as np

from grader.engine.rules.rule import Compute, Rule


def _sort(eqn: Any) -> Compute:
    axis, keys = eqn.params["dimension"], eqn.params["num_keys"]
    if len(eqn.invars) == 1:
        return lambda x: [np.sort(x, axis, kind="stable")]

    def sort(*columns: Any) -> list[Any]:
        if keys == 1:
            order = np.argsort(columns[0], axis, kind="stable")
        else:
            # lexsort takes the most significant key last.
            order = np.lexsort(columns[keys - 1 :: -1], axis)
        return [np.take_along_axis(column, order, axis) for column in columns]

    return sort


def _top_k(eqn: Any) -> Compute:
    """Descending, the first of equals first, nan before everything."""
    count = eqn.params["k"]
    rank = eqn.invars[0].aval.ndim
    axis = eqn.params.get("axis", rank - 1) % rank
    backwards = (*(slice(None),) * axis, slice(None, None, -1))
    head = (*(slice(None),) * axis, slice(0, count))
    index_dtype = np.dtype(eqn.outvars[1].aval.dtype)
    length = eqn.invars[0].aval.shape[axis]

    def top(x: Any) -> list[Any]:
        # A stable ascending sort of the reversed axis, read backwards, keeps equals in order.
        order = length - 1 - np.argsort(x[backwards], axis, kind="stable")[backwards][head]
        return [np.take_along_axis(x, order, axis), order.astype(index_dtype)]

    return top


RULES: dict[str, Rule] = {"sort": _sort, "top_k": _top_k}

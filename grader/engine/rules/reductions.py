"""Reductions and cumulative operations along axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from grader.engine.rules.rule import Compute, Rule
from grader.engine.rules.values import held_dtype


def lowest(dtype: np.dtype[Any]) -> Any:
    """The identity of max for a held dtype."""
    if dtype.kind == "f":
        return dtype.type(-np.inf)
    return dtype.type(False) if dtype.kind == "b" else dtype.type(np.iinfo(dtype).min)


def highest(dtype: np.dtype[Any]) -> Any:
    """The identity of min for a held dtype."""
    if dtype.kind == "f":
        return dtype.type(np.inf)
    return dtype.type(True) if dtype.kind == "b" else dtype.type(np.iinfo(dtype).max)


def _ordinary(ufunc: np.ufunc) -> Rule:
    """Reduction by a ufunc that has an identity; the dtype is kept, so integers wrap."""

    def rule(eqn: Any) -> Compute:
        axes = tuple(eqn.params["axes"])
        dtype = held_dtype(eqn.outvars[0].aval.dtype)
        reduce = ufunc.reduce
        return lambda x: reduce(x, axes, dtype)

    return rule


def _extremum(ufunc: np.ufunc, identity: Callable[[np.dtype[Any]], Any]) -> Rule:
    def rule(eqn: Any) -> Compute | None:
        axes = tuple(eqn.params["axes"])
        dtype = held_dtype(eqn.invars[0].aval.dtype)
        if dtype.kind not in "fiub":
            return None
        start = identity(dtype)
        reduce = ufunc.reduce
        return lambda x: reduce(x, axes, initial=start)

    return rule


def _position(find: Callable[..., Any]) -> Rule:
    def rule(eqn: Any) -> Compute:
        (axis,) = eqn.params["axes"]
        dtype = held_dtype(eqn.params["index_dtype"])
        return lambda x: find(x, axis).astype(dtype)

    return rule


def _cumulative(ufunc: np.ufunc) -> Rule:
    def rule(eqn: Any) -> Compute:
        axis = eqn.params["axis"]
        dtype = held_dtype(eqn.invars[0].aval.dtype)
        accumulate = ufunc.accumulate
        if not eqn.params["reverse"]:
            return lambda x: accumulate(x, axis, dtype)
        flip = (*(slice(None),) * axis, slice(None, None, -1))
        return lambda x: accumulate(x[flip], axis, dtype)[flip]

    return rule


RULES: dict[str, Rule] = {
    "reduce_sum": _ordinary(np.add),
    "reduce_prod": _ordinary(np.multiply),
    "reduce_and": _ordinary(np.bitwise_and),
    "reduce_or": _ordinary(np.bitwise_or),
    "reduce_xor": _ordinary(np.bitwise_xor),
    "reduce_max": _extremum(np.maximum, lowest),
    "reduce_min": _extremum(np.minimum, highest),
    "argmax": _position(np.argmax),
    "argmin": _position(np.argmin),
    "cumsum": _cumulative(np.add),
    "cumprod": _cumulative(np.multiply),
    "cummax": _cumulative(np.maximum),
    "cummin": _cumulative(np.minimum),
    "cumlogsumexp": _cumulative(np.logaddexp),
}

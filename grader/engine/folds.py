"""Reductions by any function of two values: one body, applied along the reduced elements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import Any

import jax
import numpy as np
from jax.extend import core as jex

from grader.engine.control_flow import Body, Prepare, Run
from grader.engine.liveness import opened
from grader.engine.rules.shape import pad
from grader.engine.rules.windows import window_config

FOLDS = frozenset({"reduce", "reduce_window"})


def fold(prepare: Prepare, eqn: Any) -> Body:
    """The body of a reduction whose function is given as a jaxpr.

    The operands come first, then as many initial values.
    """
    slices = _windowed(eqn) if eqn.primitive.name == "reduce_window" else _along_axes(eqn)
    shape = tuple(eqn.outvars[0].aval.shape)
    count = len(eqn.outvars)
    combine = prepare(_on_vectors(eqn, math.prod(shape)), (True,) * count)

    if eqn.params.get("dimensions") == ():  # XLA leaves the initial values out then
        return lambda run, values: list(values[:count])

    def reduce(run: Run, values: Sequence[Any]) -> list[Any]:
        operands, initial = values[:count], values[count:]
        totals = [np.full(math.prod(shape), start) for start in initial]
        columns = [slices(x, start) for x, start in zip(operands, initial, strict=True)]
        quiet = run._replace(record=None, origins=None)
        for row in zip(*columns, strict=True):
            totals = combine(quiet, [*totals, *row])
        results = [np.asarray(total).reshape(shape) for total in totals]
        if run.record is not None:
            run.record(eqn, results)
        if run.origins is not None:
            run.origins.note(results, values)
        return results

    return reduce


def _on_vectors(eqn: Any, length: int) -> Any:
    """The function of two values, for vectors of pairs of them."""
    jaxpr = eqn.params["jaxpr"]
    consts = getattr(jaxpr, "consts", eqn.params.get("consts", ()))
    scalars = jex.jaxpr_as_fun(jex.ClosedJaxpr(opened(jaxpr), list(consts)))
    given = [jax.ShapeDtypeStruct((length,), var.aval.dtype) for var in opened(jaxpr).invars]
    return jax.make_jaxpr(jax.vmap(scalars, axis_size=length))(*given)


def _along_axes(eqn: Any) -> Any:
    """A function from an operand to its elements along the reduced axes, each a vector."""
    axes = tuple(eqn.params["dimensions"])
    front = tuple(range(len(axes)))
    kept = math.prod(eqn.outvars[0].aval.shape)
    reduced = math.prod(eqn.invars[0].aval.shape[axis] for axis in axes)
    return lambda x, _: np.moveaxis(x, axes, front).reshape(reduced, kept)


def _windowed(eqn: Any) -> Any:
    """A function from an operand to what each place of the window meets, each a vector."""
    config, window = window_config(eqn)
    shape = tuple(eqn.outvars[0].aval.shape)
    places = list(product(*(range(size) for size, _, _ in window)))

    def slices(x: Any, start: Any) -> list[Any]:
        padded = pad(x, start, config)
        cuts = [
            tuple(
                slice(at * apart, at * apart + max((size - 1) * stride + 1, 0), stride)
                for at, size, (_, stride, apart) in zip(place, shape, window, strict=True)
            )
            for place in places
        ]
        return [padded[cut].reshape(-1) for cut in cuts]

    return slices

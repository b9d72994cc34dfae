"""Evaluate a lifted jaxpr with JAX: to differentiate it, or to compile it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
from jax.extend import core as jex

from grader.engine import init_equation
from grader.engine.jaxprs import live_variables
from grader.jaxprs import bind_equation, sub_jaxprs


def _of_type(weight: Any, dtype: Any) -> Any:
    return weight if weight.dtype == dtype else jnp.asarray(weight, dtype)


def interpreted(
    jaxpr: Any,
    consts: Sequence[Any],
    arguments: Sequence[Any],
    slots: Mapping[int, Sequence[int | None]],
    weights: Sequence[Any],
) -> list[Any]:
    """The results of a lifted jaxpr, with weights in place of what it would create.

    Only the calls in which weights are created are opened.

    Args:
      jaxpr: lifted and open.
      consts: its constants.
      arguments: its inputs.
      slots: for the id of each ``linen_init`` equation which of ``weights`` each result is; None
        for a note that nobody reads.
      weights: of any type; they get that of what they stand for.

    """
    values: dict[Any, Any] = dict(zip(jaxpr.constvars, consts, strict=True))
    values.update(zip(jaxpr.invars, arguments, strict=True))

    def read(var: Any) -> Any:
        return var.val if isinstance(var, jex.Literal) else values[var]

    live = live_variables(jaxpr)
    for eqn in jaxpr.eqns:
        if not any(var in live for var in eqn.outvars):
            continue
        inputs = [read(var) for var in eqn.invars if isinstance(var, jex.Literal) or var in values]
        if eqn.primitive is init_equation.linen_init:
            created = zip(slots[id(eqn)], eqn.outvars, strict=True)
            results = [
                jnp.zeros(var.aval.shape, var.aval.dtype)
                if i is None
                else _of_type(weights[i], var.aval.dtype)
                for i, var in created
            ]
        elif init_equation.init_equations_inside(eqn):
            body = next(sub_jaxprs(eqn))
            closed = next(
                (p for p in eqn.params.values() if getattr(p, "jaxpr", None) is body), None
            )
            results = interpreted(body, closed.consts if closed else (), inputs, slots, weights)
        else:
            results = bind_equation(eqn, inputs)
        values.update(zip(eqn.outvars, results, strict=True))
    return [read(var) for var in jaxpr.outvars]

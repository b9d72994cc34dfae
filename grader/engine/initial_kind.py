"""How a parameter starts, read from the program that draws it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from jax.extend import core as jex

from grader.engine.dataflow import VIEWS
from grader.engine.liveness import Liveness
from grader.engine.owners import EACH_AS_IT_IS
from grader.jaxprs import sub_jaxprs


def initial_kind(program: Any, index: int, constants: Sequence[bool]) -> str:
    """How output ``index`` of an init program starts.

    ``zeros`` or ``ones``, ``fixed`` when it is something else that no key decides, ``random``
    otherwise.  ``constants`` tells which inputs of the program are numbers in the text.
    """
    jaxpr = program.jaxpr
    value = _constant(jaxpr, jaxpr.outvars[index], lambda _: None)
    if value in (0.0, 1.0):
        return "ones" if value else "zeros"
    only = tuple(place == index for place in range(len(jaxpr.outvars)))
    try:
        decided_by = Liveness(frozenset()).of(jaxpr, only).inputs
    except NotImplementedError:
        return "random"
    pairs = zip(decided_by, constants, strict=True)
    return "random" if any(decides and not constant for decides, constant in pairs) else "fixed"


def _calls(eqn: Any, inner: Any) -> bool:
    """Whether an equation has the inputs and outputs of the jaxpr that it carries."""
    return len(inner.outvars) == len(eqn.outvars) and len(inner.invars) == len(eqn.invars)


_Given = Callable[[int], float | None]
"""The one number that an input, by its place, is full of; None when it is not known to be."""


def _constant(jaxpr: Any, var: Any, given: _Given) -> float | None:
    """The same for a variable of a jaxpr."""
    if isinstance(var, jex.Literal):
        return float(var.val) if np.ndim(var.val) == 0 and not hasattr(var.val, "_trace") else None
    if var in jaxpr.invars:
        return given(jaxpr.invars.index(var))
    for eqn in jaxpr.eqns:
        if var in eqn.outvars:
            place = eqn.outvars.index(var)
            inner = next(sub_jaxprs(eqn), None)
            if inner is not None and _calls(eqn, inner):
                of_operand = partial(_constant_operand, jaxpr, eqn, given)
                return _constant(inner, inner.outvars[place], of_operand)
            if eqn.primitive.name in EACH_AS_IT_IS:
                return _constant(jaxpr, eqn.invars[place], given)
            return _constant(jaxpr, eqn.invars[0], given) if eqn.primitive.name in VIEWS else None
    return None


def _constant_operand(jaxpr: Any, eqn: Any, given: _Given, place: int) -> float | None:
    return _constant(jaxpr, eqn.invars[place], given)

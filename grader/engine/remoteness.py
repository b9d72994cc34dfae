"""How far from the results each equation stands: an order of use that no way of writing changes.

``x + b`` may be the first line of a block or its last, ``b @ w`` may be computed long before it is
added.  How many products follow on the longest way to a result tells them apart all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jax.extend import core as jex

from grader.engine.init_equation import linen_init
from grader.jaxprs import scan_widths, sub_jaxprs

_COUNTED = frozenset(("dot_general", "conv_general_dilated", "exp"))
"""Products and softmax.  What else stands between two of them depends on how an answer is written:
a key is transposed, or a query scaled."""


@dataclass(frozen=True)
class Remoteness:
    """Of the equations of a program, in their order.

    Attributes:
      here: how many products there are from each on, on the longest way to a result.
      inside: the same for the programs that each one runs, by their ids.

    """

    here: tuple[int, ...]
    inside: tuple[Mapping[int, Remoteness], ...]

    def within(self, number: int, body: Any) -> Remoteness:
        """Of the equations of ``body``, which the equation with this number runs."""
        known = self.inside[number].get(id(body))
        return known or alike(body, self.here[number])


def alike(jaxpr: Any, remoteness: int) -> Remoteness:
    """Where nothing is known but of the whole."""
    count = len(jaxpr.eqns)
    return Remoteness((remoteness,) * count, ({},) * count)


def remoteness_of(jaxpr: Any, ends: Sequence[int]) -> tuple[Remoteness, list[int]]:
    """How far the equations of a program stand from the results, and how far its inputs do.

    Args:
      jaxpr: the program.
      ends: how far each of its results stands; -1 for one that nobody uses.

    """
    needed: dict[Any, int] = {}
    _need(needed, jaxpr.outvars, ends)
    here, inside = [0] * len(jaxpr.eqns), [dict[int, Remoteness]() for _ in jaxpr.eqns]
    for i, eqn in reversed([*enumerate(jaxpr.eqns)]):
        after = [needed.get(var, -1) for var in eqn.outvars]
        if max(after, default=-1) < 0:
            continue
        if eqn.primitive.name == "scan":  # what a pass leaves, the next one takes
            _, carries = scan_widths(eqn.params)
            after[:carries] = [max(after)] * carries
        here[i] = max(after) + (eqn.primitive.name in _COUNTED)
        _need(needed, eqn.invars, [here[i]] * len(eqn.invars))
        if eqn.primitive is linen_init:
            continue
        for body in sub_jaxprs(eqn):
            if len(body.outvars) == len(after) and len(body.invars) <= len(eqn.invars):
                inside[i][id(body)], starts = remoteness_of(body, after)
                _need(needed, eqn.invars[len(eqn.invars) - len(body.invars) :], starts)
                here[i] = max(here[i], *starts, 0)
    return Remoteness(tuple(here), tuple(inside)), [needed.get(v, -1) for v in jaxpr.invars]


def _need(needed: dict[Any, int], variables: Sequence[Any], remoteness: Sequence[int]) -> None:
    for var, far in zip(variables, remoteness, strict=True):
        if not isinstance(var, jex.Literal):
            needed[var] = max(needed.get(var, -1), far)

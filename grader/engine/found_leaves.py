"""The parameters that a traced function creates, and when and how it uses each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from jax.extend import core as jex

from grader.engine.dataflow import Uses, uses_of_weights
from grader.engine.init_equation import created_variables, init_equations
from grader.engine.initial_kind import initial_kind
from grader.engine.layout import Leaf


@dataclass
class FoundLeaves:
    """What the equations that stand for ``init`` create.

    Attributes:
      leaves: the parameters.
      collections: names of Linen collections other than ``params``.
      slots: by the equation's ``id``, for each of its results the number of its leaf; None where
        it is a record that nobody reads.
      stage_clock: the named stages and when each is computed, on the scale of ``dataflow``.

    """

    leaves: list[Leaf] = field(default_factory=list)
    collections: set[str] = field(default_factory=set)
    slots: dict[int, list[int | None]] = field(default_factory=dict)
    stage_clock: list[tuple[str, int]] = field(default_factory=list)


def found_leaves(jaxpr: jex.Jaxpr, drawn: bool) -> FoundLeaves:
    """Read them from the function's program; with ``drawn`` how each starts is read, too."""
    equations = init_equations(jaxpr)
    uses = uses_of_weights(jaxpr) if equations else Uses()
    found = FoundLeaves(stage_clock=uses.stages)
    known = set(jaxpr.constvars)
    sites = _used(equations, uses)
    for number, eqn in enumerate(sites):
        prefix = f"model {number + 1}/" if len(sites) > 1 else ""
        constants = [isinstance(v, jex.Literal) or v in known for v in eqn.invars]
        slots = found.slots.setdefault(id(eqn), [])
        for i, variable in enumerate(created_variables(eqn)):
            weight = (id(eqn), i)
            if variable.is_record and uses.without(weight):
                slots.append(None)
                continue
            if variable.collection != "params":
                found.collections.add(variable.collection)
            when, role = uses.first.get(weight, (None, "unused"))
            index = len(found.leaves)
            leaf = Leaf(
                index,
                prefix + variable.path,
                variable.shape,
                when,
                role,
                "unknown",
                plus_one=weight in uses.plus_one,
                times=uses.times[weight],
                factor=uses.factor.get(weight, 1.0),
                late=uses.late(weight),
            )
            if drawn:
                leaf = leaf.starting(initial_kind(eqn.params["program"], i, constants))
            found.leaves.append(leaf)
            slots.append(index)
    return found


def _used(equations: list[Any], uses: Uses) -> list[Any]:
    """Without an init whose values go nowhere (called twice, or only for the shapes)."""
    used = [
        eqn
        for eqn in equations
        if any((id(eqn), i) in uses.first for i in range(len(created_variables(eqn))))
    ]
    return used or equations

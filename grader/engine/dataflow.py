"""How a traced function uses its weights: when each is first used, and for what.

The order in which weights are *used* follows from the architecture (LayerNorm before q, k, v,
those before the output projection), the order in which they are created only from habit.  So
use is what parameters are matched by.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import jax.numpy as jnp
from jax.extend import core as jex

from grader.engine.init_equation import linen_init
from grader.engine.jaxprs import live_variables
from grader.engine.owners import (
    CONSTANT,
    EACH_AS_IT_IS,
    NOTHING,
    Held,
    Weight,
    computed_with_constants,
    known_literal,
    known_numbers,
    rearranged,
    together,
)
from grader.engine.remoteness import Remoteness, remoteness_of
from grader.jaxprs import scan_widths, sub_jaxprs

VIEWS = frozenset(
    "reshape broadcast_in_dim convert_element_type transpose squeeze expand_dims slice copy name "
    "dynamic_slice split rev gather reduce_precision copy_p tile unstack".split()
)
ROLES = {
    **dict.fromkeys(("add", "sub", "add_any"), "add"),
    **dict.fromkeys(("mul", "div"), "scale"),
    **dict.fromkeys(("dot_general", "conv_general_dilated"), "kernel"),
    **dict.fromkeys(
        (
            "concatenate",
            "stack",
            "pad",
            "dynamic_update_slice",
            "scatter",
            "scatter_add",
            "select_n",
        ),
        "token",
    ),
}
Flow = TypeVar("Flow")


@dataclass
class Uses:
    """First use of each weight, and the place of each named stage, on one scale; how many uses."""

    first: dict[Weight, tuple[int, str]] = field(default_factory=dict)
    times: Counter[Weight] = field(default_factory=Counter)
    farthest: Counter[Weight] = field(default_factory=Counter)  # from the results
    last: dict[Weight, int] = field(default_factory=dict)
    plus_one: set[Weight] = field(default_factory=set)  # first used as 1 + weight
    factor: dict[Weight, float] = field(default_factory=dict)  # first used times that
    returned: set[Weight] = field(default_factory=set)  # part of a result as they are
    stages: list[tuple[str, int]] = field(default_factory=list)
    clock: int = 0
    ahead: int = 0  # of the results of a pass, what the passes after it add

    def late(self, weight: Weight) -> tuple[int, int]:
        """When a weight is used at the latest, where what is needed late counts as late."""
        return -self.farthest[weight], self.last.get(weight, 0)

    def without(self, weight: Weight) -> bool:
        """Whether no result depends on a weight."""
        return weight not in self.first and weight not in self.returned


def uses_of_weights(jaxpr: Any) -> Uses:
    """Walk a lifted jaxpr, nested ones too, in the order of the computation."""
    uses = Uses()
    remoteness, _ = remoteness_of(jaxpr, [0] * len(jaxpr.outvars))
    results = _walk(jaxpr, [NOTHING] * len(jaxpr.invars), uses, remoteness)
    uses.returned.update(weight for held in results for weight in held.weights)
    return uses


def _walk(jaxpr: Any, inputs: list[Held], uses: Uses, remoteness: Remoteness) -> list[Held]:
    live = live_variables(jaxpr)
    held: dict[Any, Held] = dict(zip(jaxpr.invars, inputs, strict=True))
    held.update(dict.fromkeys(jaxpr.constvars, CONSTANT))

    def get(var: Any) -> Held:
        if isinstance(var, jex.Literal):
            return known_literal(var)
        return held.get(var, NOTHING).shaped(var.aval.shape)

    distributed = distributed_products(jaxpr)
    for number, eqn in enumerate(jaxpr.eqns):
        if not any(var in live for var in eqn.outvars):
            continue
        uses.clock += 1
        within = partial(remoteness.within, number)
        name = eqn.primitive.name
        operands = [get(var) for var in eqn.invars]
        if name == "name":
            uses.stages.append((eqn.params["name"], uses.clock))
        if eqn.primitive is linen_init:
            outputs = [Held(((id(eqn), i),)) for i in range(len(eqn.outvars))]
        elif (results := _walk_inside(eqn, operands, uses, within)) is not None:
            outputs = results
        elif (numbers := known_numbers(eqn, operands)) is not None:
            outputs = numbers
        elif _passes_on(name, operands):
            outputs = rearranged(eqn, operands)
        elif _adds_one(name, operands) and uses.first.keys().isdisjoint(
            (whole := together(operands)).weights
        ):
            outputs = [whole]
            uses.plus_one.update(whole.weights)
        elif (computed := computed_with_constants(eqn, operands)) is not None:
            outputs = computed
        else:
            outputs = []
            far = uses.ahead + remoteness.here[number]
            role = role_of(name, [bool(operand.in_order) for operand in operands])
            _note_uses(uses, operands, role, far, id(eqn) in distributed)
        held.update(zip(eqn.outvars, outputs, strict=False))
    return [get(var) for var in jaxpr.outvars]


def role_of(name: str, weights: Sequence[bool]) -> str:
    """What an equation uses weights for; ``weights`` tells of each operand whether it is one.

    Weights that are added to each other are learned tokens, and no biases.
    """
    role = ROLES.get(name, name)
    return "token" if role == "add" and len(weights) > 1 and all(weights) else role


def _note_uses(uses: Uses, operands: list[Held], role: str, far: int, one_more: bool) -> None:
    """That an equation uses the weights in its operands: for what, and how far from the results.

    With ``one_more`` a product is added to what the weight is multiplied with.
    """
    for operand in operands:
        uses.clock += 1
        for weight in operand.in_order:
            if one_more and weight not in uses.first:
                uses.plus_one.add(weight)
            uses.first.setdefault(weight, (uses.clock, role))
            uses.factor.setdefault(weight, operand.factor)
            uses.last[weight] = uses.clock
            uses.times[weight] += 1
            uses.farthest[weight] = max(uses.farthest[weight], far)
            # Of what was joined to one array, one after the other, where that is known.
            uses.clock += operand.owners is not None


Within = Callable[[Any], Remoteness]
"""How far the equations of a program that an equation runs stand from the results."""


def _walk_inside(eqn: Any, operands: list[Held], uses: Uses, within: Within) -> list[Held] | None:
    """Walk what an equation runs: every branch, every pass over several weights, every body."""
    if eqn.primitive.name == "cond":
        inside = list(sub_jaxprs(eqn))
        branches = [_walk(branch, operands[1:], uses, within(branch)) for branch in inside]
        return [together(each) for each in zip(*branches, strict=True)]
    if eqn.primitive.name in ("scan", "while"):  # what a pass begins with, the next one does not
        operands = [replace(held, constant=False) for held in operands]
    if eqn.primitive.name == "while":
        operands = _unknown(operands)
    inner = body_of(eqn, operands)
    if inner is None:
        return None
    if eqn.primitive.name == "scan":
        if any(held.owners is not None for held in operands):
            return _walk_passes(eqn, inner[0], operands, uses, within)
        return _walk_one_pass(eqn, inner[0], operands, uses, within)
    return _walk(*inner, uses, within(inner[0]))


def _walk_one_pass(
    eqn: Any, body: Any, operands: list[Held], uses: Uses, within: Within
) -> list[Held]:
    """Walk a loop of which all passes use weights alike, and count what each pass uses anew."""
    constants, _ = scan_widths(eqn.params)
    operands = [*operands[:constants], *_unknown(operands[constants:])]
    weights = {weight for held in operands[:constants] for weight in held.weights}
    before = {weight: uses.times[weight] for weight in weights}
    results = _walk(body, operands, uses, within(body))
    for weight in weights:
        uses.times[weight] += (uses.times[weight] - before[weight]) * (eqn.params["length"] - 1)
    return results


def _unknown(operands: list[Held]) -> list[Held]:
    """The same where each pass has numbers of its own."""
    return [replace(held, number=None) for held in operands]


def _walk_passes(
    eqn: Any, body: Any, operands: list[Held], uses: Uses, within: Within
) -> list[Held]:
    """Walk every pass of a loop: which layer is which shows in their order."""
    consts_end, carries = scan_widths(eqn.params)
    carry = operands[consts_end : consts_end + carries]
    columns = operands[consts_end + carries :]
    passes = range(eqn.params["length"])
    stacked = []
    ahead, each = uses.ahead, 1 + max(within(body).here, default=0)
    uses.ahead += len(passes) * each
    for i in reversed(passes) if eqn.params["reverse"] else passes:
        rows = [column.at(i) for column in columns]
        uses.ahead -= each
        results = _walk(body, [*operands[:consts_end], *carry, *rows], uses, within(body))
        carry = results[:carries]
        stacked.append(results[carries:])
    uses.ahead = ahead
    return [*carry, *map(together, zip(*stacked, strict=True))]


def distributed_products(jaxpr: Any) -> set[int]:
    """The ids of the products ``x * weight`` of which there is ``x + x * weight``."""
    products = {eqn.outvars[0]: eqn for eqn in jaxpr.eqns if eqn.primitive.name == "mul"}
    found = set()
    for eqn in jaxpr.eqns:
        if eqn.primitive.name == "add":
            for one, other in (eqn.invars, eqn.invars[::-1]):
                product = None if isinstance(one, jex.Literal) else products.get(one)
                if product is not None and any(var is other for var in product.invars):
                    found.add(id(product))
    return found


def _adds_one(name: str, operands: list[Held]) -> bool:
    """Whether this is ``1 + weight``: a scale may be kept as its distance from one."""
    if not any(held.weights for held in operands):
        return False
    if name == "add":
        return any(held.filled == 1.0 for held in operands)
    return name == "sub" and operands[1].filled == -1.0


def _passes_on(name: str, operands: list[Held]) -> bool:
    """Whether the result is still nothing but weights, only arranged differently."""
    if name in EACH_AS_IT_IS:
        return True
    if name in ("concatenate", "stack"):
        return all(held.weights for held in operands)
    return name in VIEWS and bool(operands and operands[0].weights)


def body_of(eqn: Any, operands: list[Flow]) -> tuple[Any, list[Flow]] | None:
    """The jaxpr that a call-like equation runs, with what flows into each of its inputs."""
    for jaxpr in sub_jaxprs(eqn):
        if len(jaxpr.invars) == len(operands):
            return jaxpr, operands
        if eqn.primitive.name == "cond" and len(jaxpr.invars) == len(operands) - 1:
            return jaxpr, operands[1:]
    return None


def stage_ancestors(jaxpr: Any) -> tuple[list[frozenset[int]], list[frozenset[int]]]:
    """The stages that each stage depends on, and those that each result does.

    Stages are named values, numbered in the order of the computation.
    """
    found: list[frozenset[int]] = []
    results = _walk_stages(jaxpr, [frozenset()] * len(jaxpr.invars), found)
    return found, results


def _walk_stages(
    jaxpr: Any, inputs: list[frozenset[int]], found: list[frozenset[int]]
) -> list[frozenset[int]]:
    live = live_variables(jaxpr)
    held: dict[Any, frozenset[int]] = dict(zip(jaxpr.invars, inputs, strict=True))
    for eqn in jaxpr.eqns:
        if not any(var in live for var in eqn.outvars):
            continue
        operands = [
            frozenset() if isinstance(var, jex.Literal) else held.get(var, frozenset())
            for var in eqn.invars
        ]
        inner = None if eqn.primitive is linen_init else body_of(eqn, operands)
        if inner is not None:
            outputs = _walk_stages(*inner, found)
        else:
            # Through a comparison or an argmax nothing is proved: much else leads to the same.
            exact = all(_is_float(var) for var in eqn.outvars)
            above: frozenset[int] = frozenset().union(*operands) if exact else frozenset()
            if eqn.primitive.name == "name":
                found.append(above)
                above |= {len(found) - 1}
            outputs = [above] * len(eqn.outvars)
        held.update(zip(eqn.outvars, outputs, strict=False))
    return [
        frozenset() if isinstance(var, jex.Literal) else held.get(var, frozenset())
        for var in jaxpr.outvars
    ]


def _is_float(var: Any) -> bool:
    return bool(jnp.issubdtype(var.aval.dtype, jnp.inexact))

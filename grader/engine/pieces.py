"""Parameters that a submission keeps in one array and cuts apart before it uses them.

Scales and biases as rows of a table, a bias as the last row of its kernel, everything as one
vector: what slices take out of an array is told apart here, each piece as a parameter of its own.
For every value that is nothing but weights it is known which element of which weight stands where.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jax.extend import core as jex

from grader.engine.beside import Beside, beside, met
from grader.engine.dataflow import body_of, distributed_products, role_of
from grader.engine.init_equation import linen_init
from grader.engine.jaxprs import live_variables
from grader.engine.layout import Leaf, Part
from grader.engine.owners import NOTHING, Held, constants_made, known_literal, known_numbers
from grader.engine.places import Made, Places, all_arranged, of_shape, stacked, still_the_same
from grader.jaxprs import scan_widths, sub_jaxprs

_MOST_PASSES = 32
"""Of a loop whose passes are followed one by one; layers are never more."""


@dataclass(frozen=True)
class _Use:
    """Elements that are used together for the first time."""

    when: int
    role: str
    places: np.ndarray
    factor: float
    plus_one: bool


def in_pieces(jaxpr: Any, leaves: Sequence[Leaf], slots: dict[int, list[int | None]]) -> list[Leaf]:
    """The parameters, and in place of those that are cut apart their pieces.

    Args:
      jaxpr: a lifted program.
      leaves: its parameters.
      slots: for the id of each ``linen_init`` equation the places of its parameters in ``leaves``.

    """
    sizes = [leaf.size for leaf in leaves]
    cutting = _Cutting(slots, np.cumsum([0, *sizes]))
    cutting.walk(jaxpr, [None] * len(jaxpr.invars))
    found: list[Leaf] = []
    for leaf, uses in zip(leaves, cutting.uses_of(leaves), strict=True):
        if len(uses) < 2:
            found.append(_whole(leaf, uses))
            continue
        for number, use in enumerate(uses):
            found.append(
                Leaf(
                    leaf.index,
                    f"{leaf.path}[{number}]",
                    use.places.shape,
                    use.when,
                    use.role,
                    leaf.kind,
                    plus_one=use.plus_one,
                    part=Part(leaf.shape, use.places),
                    factor=use.factor,
                )
            )
    return found


def _whole(leaf: Leaf, uses: Sequence[_Use]) -> Leaf:
    """A parameter that is not cut apart, as it is used."""
    if not uses:
        return replace(leaf, used=None)
    (use,) = uses
    if use.places.size < leaf.size:
        return replace(leaf, used=use.when)
    plus_one = leaf.plus_one or use.plus_one
    factor = leaf.factor if use.factor == 1 else use.factor
    return replace(leaf, used=use.when, role=use.role, plus_one=plus_one, factor=factor)


class _Cutting:
    def __init__(self, slots: dict[int, list[int | None]], starts: np.ndarray) -> None:
        self._slots = slots
        self._starts = starts
        self._made = Made(starts[-1])
        self._clock = 0
        self._distributed: set[int] = set()
        self._seen = np.zeros(starts[-1], bool)
        self._uses: dict[int, list[_Use]] = defaultdict(list)
        self._overlapping: set[int] = set()
        self._constants: set[Any] = set()
        self._numbers: dict[Any, Held] = {}
        self._beside: dict[Any, Beside] = {}

    def uses_of(self, leaves: Sequence[Leaf]) -> list[list[_Use]]:
        """For each parameter its pieces; only its first use where it is not cut apart cleanly."""
        pieces = []
        for i, leaf in enumerate(leaves):
            uses = self._uses[i]
            clean = i not in self._overlapping and sum(u.places.size for u in uses) == leaf.size
            pieces.append(uses if clean else uses[:1])
        return pieces

    def walk(self, jaxpr: Any, inputs: Sequence[Places]) -> list[Places]:
        """Follow the weights through a program; which of its results are nothing but weights."""
        live = live_variables(jaxpr)
        held: dict[Any, Places] = dict(zip(jaxpr.invars, inputs, strict=True))
        self._constants.update(jaxpr.constvars)
        self._distributed |= distributed_products(jaxpr)

        def get(var: Any) -> Places:
            return None if isinstance(var, jex.Literal) else held.get(var)

        for eqn in jaxpr.eqns:
            if any(var in live for var in eqn.outvars):
                self._clock += 1
                operands = [get(var) for var in eqn.invars]
                others = [var for var in eqn.invars if get(var) is None]
                creates = eqn.primitive is linen_init or any(sub_jaxprs(eqn))
                constants_alone = all(map(self._is_constant, others))
                nothing_else = constants_alone and len(others) == len(operands) and not creates
                numbers = known_numbers(eqn, [self._number(var) for var in eqn.invars])
                if nothing_else and numbers is None:
                    numbers = constants_made(eqn, [self._number(var) for var in eqn.invars])
                self._note(eqn.outvars, nothing_else, self._beside_of(eqn))
                self._numbers.update(zip(eqn.outvars, numbers or (), strict=False))
                if nothing_else:
                    continue
                if constants_alone and (still := still_the_same(eqn, operands)) is not None:
                    known = [
                        None if p is not None else self._number(v).filled
                        for p, v in zip(operands, eqn.invars, strict=True)
                    ]
                    held[eqn.outvars[0]] = self._made.by(eqn.primitive.name, still, known)
                    continue
                held.update(zip(eqn.outvars, self._results(eqn, operands), strict=False))
        return [get(var) for var in jaxpr.outvars]

    def _results(self, eqn: Any, operands: list[Places]) -> list[Places]:
        if eqn.primitive is linen_init:
            return [
                None
                if i is None
                else np.arange(self._starts[i], self._starts[i + 1]).reshape(1, *var.aval.shape)
                for i, var in zip(self._slots.get(id(eqn), ()), eqn.outvars, strict=False)
            ]
        if eqn.primitive.name == "cond":
            branches = [self.walk(branch, operands[1:]) for branch in sub_jaxprs(eqn)]
            return [self._made.common(each) for each in zip(*branches, strict=True)]
        if (inner := body_of(eqn, operands)) is not None:
            body, given = inner
            if eqn.primitive.name == "scan" and self._goes_by_number(eqn):
                return self._pass_by_pass(eqn, body, given)
            fitting = [of_shape(p, var.aval) for p, var in zip(given, body.invars, strict=True)]
            repeated = eqn.primitive.name in ("scan", "while")
            self._carry_over(eqn.invars[-len(given) :], body.invars, not repeated)
            results = self.walk(body, fitting)
            self._carry_over(body.outvars, eqn.outvars, not repeated)
            return [of_shape(p, var.aval) for p, var in zip(results, eqn.outvars, strict=False)]
        arranged = all_arranged(eqn, operands, [self._number(var).number for var in eqn.invars])
        if arranged is not None:
            return arranged
        role = role_of(eqn.primitive.name, [p is not None and p.size > 0 for p in operands])
        for i, places in enumerate(operands):
            if places is not None and places.size:
                parts = met(eqn, i, places, self._known_beside) or [(places, False)]
                for part, meets_constants in parts:
                    one_more = id(eqn) in self._distributed
                    self._use(part, "add" if meets_constants else role, one_more)
                    self._clock += len(parts) > 1
        return []

    def _goes_by_number(self, loop: Any) -> bool:
        """Whether the passes of a loop are few and each has numbers of its own: places, say."""
        fixed, _ = scan_widths(loop.params)
        numbers = any(self._number(var).number is not None for var in loop.invars[fixed:])
        return numbers and 0 < loop.params["length"] <= _MOST_PASSES

    def _pass_by_pass(self, loop: Any, body: Any, given: Sequence[Places]) -> list[Places]:
        """Follow each pass of a loop, with the numbers that it has."""
        fixed, carried = scan_widths(loop.params)
        first_column = fixed + carried
        known = [self._number(var) for var in loop.invars]
        carry, counts = list(given[fixed:first_column]), known[fixed:first_column]
        handed_out: list[list[Places]] = []
        passes = range(loop.params["length"])
        for i in reversed(passes) if loop.params["reverse"] else passes:
            rows = [None if places is None else places[:, i] for places in given[first_column:]]
            self._note(body.invars, False, None)
            numbers = [*known[:fixed], *counts, *(held.at(i) for held in known[first_column:])]
            self._numbers.update(zip(body.invars, numbers, strict=True))
            results = self.walk(body, [*given[:fixed], *carry, *rows])
            carry, counts = results[:carried], [self._number(v) for v in body.outvars[:carried]]
            handed_out.append(results[carried:])
        self._note(loop.outvars, False, None)
        self._numbers.update(zip(loop.outvars, counts, strict=False))
        return [*carry, *map(stacked, zip(*handed_out, strict=True))]

    def _number(self, var: Any) -> Held:
        """What is known of whole numbers that neither weights nor inputs decide."""
        return (
            known_literal(var) if isinstance(var, jex.Literal) else self._numbers.get(var, NOTHING)
        )

    def _is_constant(self, var: Any) -> bool:
        return isinstance(var, jex.Literal) or var in self._constants

    def _known_beside(self, var: Any) -> Beside | None:
        return None if isinstance(var, jex.Literal) else self._beside.get(var)

    def _beside_of(self, eqn: Any) -> Beside | None:
        return beside(eqn, self._known_beside, self._is_constant)

    def _note(self, variables: Sequence[Any], constant: bool, found: Beside | None) -> None:
        """What is known of results, and no longer what was when their program ran before."""
        for var in variables:
            self._constants.discard(var)
            self._numbers.pop(var, None)
            self._beside.pop(var, None)
            if constant:
                self._constants.add(var)
            if found is not None:
                self._beside[var] = found

    def _carry_over(
        self, variables: Sequence[Any], others: Sequence[Any], constants_too: bool
    ) -> None:
        """What is known where a body begins and where it ends."""
        for var, other in zip(variables, others, strict=False):
            if not isinstance(other, jex.Literal):
                same = var.aval.shape == other.aval.shape
                constant = constants_too and self._is_constant(var)
                number = self._number(var)
                self._note([other], constant, self._known_beside(var) if same else None)
                if same and constants_too and number is not NOTHING:
                    self._numbers[other] = number

    def _use(self, places: np.ndarray, role: str, one_more: bool) -> None:
        for axis in reversed(range(places.ndim)):  # what is only repeated
            first = places.take([0], axis)
            if places.shape[axis] > 1 and (places == first).all():
                places = first
        if places.shape[0] == 1:
            places = places[0]
        factors, offsets = self._made.factors[places], self._made.offsets[places]
        places = self._made.of[places]
        owners = np.searchsorted(self._starts, places, side="right") - 1
        of_each, first_places = np.unique(owners, return_index=True)
        for number, owner in enumerate(of_each[np.argsort(first_places)]):
            self._clock += number > 0
            own = places if len(of_each) == 1 else places[owners == owner]
            seen = self._seen[own]
            if seen.any() or np.unique(own).size < own.size:
                if not seen.all():
                    self._overlapping.add(int(owner))
                continue
            self._seen[own] = True
            factor, offset = _alike(factors[owners == owner]), _alike(offsets[owners == owner])
            plus_one = offset == 1 or (one_more and offset == 0)
            use = _Use(self._clock, role, own - self._starts[owner], factor or 1.0, plus_one)
            self._uses[int(owner)].append(use)


def _alike(numbers: np.ndarray) -> float | None:
    """The number that all are, if they are one."""
    return float(numbers.flat[0]) if (numbers == numbers.flat[0]).all() else None

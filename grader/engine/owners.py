"""Which weights a value consists of, element by element where it holds several.

A value that is nothing but weights may be cut apart again: parameters flattened into one vector
and taken back out of it are the parameters.  So of such a value is known to whom each element
belongs, as an array of the same shape that goes through the same equations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jax.extend import core as jex

from grader.engine.rules import RULES

Weight = tuple[int, int]
"""Which ``linen_init`` equation (by id) and which of its outputs."""

EACH_AS_IT_IS = frozenset("device_put optimization_barrier sharding_constraint pvary".split())
"""Any number of operands, each of which comes out as it went in."""
ELEMENTWISE = frozenset("convert_element_type copy copy_p name reduce_precision".split())
FOLLOWED = frozenset(
    "reshape broadcast_in_dim transpose squeeze expand_dims slice dynamic_slice gather split rev "
    "tile concatenate stack unstack".split()
)

_COUNTING = frozenset(
    "iota add sub mul div rem min max clamp lt le gt ge eq ne and or not select_n "
    "convert_element_type broadcast_in_dim reshape squeeze dynamic_slice gather".split()
)
"""What places are computed by."""
_MOST_NUMBERS = 1000
_NO_PLACE = 2**62
_OF_NUMBERS = frozenset("add sub mul div neg sqrt rsqrt square integer_pow pow exp log".split())
ARITHMETIC = frozenset(
    "add sub mul div neg abs sign max min clamp select_n integer_pow pow sqrt square exp log tanh "
    "is_finite lt le gt ge eq ne and or not reduce_sum reduce_max reduce_min reduce_and".split()
)
"""What may be done to a weight, together with constants, before it is used."""


@dataclass(frozen=True, eq=False)
class Held:
    """The weights in a value; with several, ``owners`` are their places, element by element.

    Without ``owners`` any element may be any of the weights'.  ``number`` is a value that holds
    no weights but is known: a place, say, from which a slice is taken.  ``constant`` is whether
    no weight and no input decides what a value is, and ``filled`` what it is full of, where that
    is one number.  ``factor`` is what the only weight was multiplied by.
    """

    weights: tuple[Weight, ...] = ()
    owners: np.ndarray | None = None
    number: np.ndarray | None = None
    constant: bool = False
    filled: float | None = None
    factor: float = 1.0

    @property
    def in_order(self) -> list[Weight]:
        """The weights, as their first elements stand in the value."""
        if self.owners is None:
            return list(self.weights)
        _, first = np.unique(self.owners, return_index=True)
        return [self.weights[place] for place in np.argsort(first)]

    def shaped(self, shape: tuple[int, ...]) -> Held:
        """The same for a value of this shape, which may be one of several that were stacked."""
        if self.owners is None or self.owners.shape == tuple(shape):
            return self
        return Held(self.weights)

    def at(self, place: int) -> Held:
        """The same for what stands at a place along the first axis."""
        if self.number is not None:
            return Held(number=self.number[place], constant=self.constant)
        return self if self.owners is None else _held(self.owners[place], self.weights)


NOTHING = Held()
CONSTANT = Held(constant=True)


def together(operands: Sequence[Held]) -> Held:
    """What several values hold, taken as a whole."""
    holding = [held for held in operands if held.weights]
    if len(holding) < 2:
        return holding[0] if holding else NOTHING
    return Held(tuple(sorted({weight for held in holding for weight in held.weights})))


def rearranged(eqn: Any, operands: Sequence[Held]) -> list[Held]:
    """What the results of an equation hold that only arranges what its operands hold."""
    if eqn.primitive.name in EACH_AS_IT_IS:
        return list(operands)
    whole = together(operands)
    name = eqn.primitive.name
    if len(whole.weights) > 1 and name not in ELEMENTWISE:
        followed = _followed(eqn, operands, whole.weights) if name in FOLLOWED else None
        return followed or [Held(whole.weights)] * len(eqn.outvars)
    return [whole] * len(eqn.outvars)


def _followed(eqn: Any, operands: Sequence[Held], weights: tuple[Weight, ...]) -> list[Held] | None:
    """The owners of each element of the results; None where they cannot be told."""
    places: list[np.ndarray | None] = []
    for var, held in zip(eqn.invars, operands, strict=True):
        if len(held.weights) == 1:
            places.append(np.full(var.aval.shape, weights.index(held.weights[0])))
        elif held.owners is not None:
            places.append(np.array([weights.index(w) for w in held.weights])[held.owners])
        else:
            places.append(held.number)
    results = arranged(eqn, places)
    return None if results is None else [_held(result, weights) for result in results]


def arranged(eqn: Any, arrays: Sequence[np.ndarray | None]) -> list[np.ndarray] | None:
    """What an equation makes of whole numbers in place of its operands; literals stay literals.

    None where an operand is neither, where there is no rule, or where it gives no numbers.
    """
    pairs = zip(eqn.invars, arrays, strict=True)
    inputs = [np.asarray(v.val) if isinstance(v, jex.Literal) else array for v, array in pairs]
    compute = RULES[eqn.primitive.name](eqn)
    if compute is None or any(value is None for value in inputs):
        return None
    results = compute(*inputs)
    several = results if eqn.primitive.multiple_results else [results]
    if not all((np.asarray(result) < _NO_PLACE).all() for result in several):
        return None  # beyond the end of an array there is NaN
    return [np.asarray(result, np.intp) for result in several]


def known_numbers(eqn: Any, operands: Sequence[Held]) -> list[Held] | None:
    """The results of an equation on whole numbers that are all known; else None."""
    known = all(held.number is not None for held in operands)
    if not known or eqn.primitive.name not in _COUNTING or not _is_whole(eqn.outvars[0]):
        return None
    results = arranged(eqn, [held.number for held in operands])
    kind = eqn.outvars[0].aval.dtype
    constant = all(held.constant for held in operands)
    numbers = (result.astype(kind) for result in results or ())
    return None if results is None else [Held(number=n, constant=constant) for n in numbers]


def known_literal(literal: Any) -> Held:
    """What is known of a literal."""
    known = np.asarray(literal.val) if _is_whole(literal) else None
    kind = getattr(literal.aval.dtype, "kind", "")
    filled = float(literal.val) if kind in "iuf" and not np.ndim(literal.val) else None
    return Held(number=known, constant=True, filled=filled)


def computed_with_constants(eqn: Any, operands: Sequence[Held]) -> list[Held] | None:
    """What the results hold of an equation between constants, or of one weight and constants.

    ``w * 1.0`` and ``where(isfinite(w), w, 0)`` are still that weight: used is it where it meets
    what depends on an input, or another weight.
    """
    weights = {weight for held in operands for weight in held.weights}
    if len(weights) > 1 or not all(held.weights or held.constant for held in operands):
        return None
    if not weights:
        return constants_made(eqn, operands)
    if eqn.primitive.name not in ARITHMETIC:
        return None
    return [Held(tuple(weights), factor=_factor(eqn.primitive.name, operands))] * len(eqn.outvars)


def constants_made(eqn: Any, operands: Sequence[Held]) -> list[Held]:
    """What is known of the results of an equation between constants."""
    return [replace(CONSTANT, filled=_filled(eqn, operands))] * len(eqn.outvars)


def _filled(eqn: Any, operands: Sequence[Held]) -> float | None:
    """The number that the result of constants is full of, where it is one."""
    name, known = eqn.primitive.name, [held.filled for held in operands]
    if None in known or not known:
        return None
    if name in ELEMENTWISE | FOLLOWED:
        return known[0] if len(set(known)) == 1 else None
    if name not in _OF_NUMBERS or eqn.outvars[0].aval.dtype.kind != "f":
        return None
    compute = RULES[name](eqn)
    return None if compute is None else float(compute(*map(np.float64, known)))


def _factor(name: str, operands: Sequence[Held]) -> float:
    """What a weight has been multiplied by, after one more equation with constants."""
    factors = {held.factor for held in operands if held.weights}
    factor = factors.pop()
    if factors:
        return 1.0
    numbers = [held.filled for held in operands if not held.weights]
    if name == "neg":
        return -factor
    if name not in ("mul", "div") or len(numbers) != 1 or not numbers[0]:
        return factor
    if name == "mul":
        return factor * numbers[0]
    return factor / numbers[0] if operands[0].weights else factor


def _is_whole(var: Any) -> bool:
    kind = getattr(getattr(var.aval, "dtype", None), "kind", "")
    return kind in "iub" and var.aval.size <= _MOST_NUMBERS


def _held(owners: np.ndarray, weights: tuple[Weight, ...]) -> Held:
    places, owners_among = np.unique(owners, return_inverse=True)
    kept = tuple(weights[place] for place in places)
    return Held(kept, owners_among.reshape(owners.shape) if len(kept) > 1 else None)

"""Where the elements of weights stand in values that are nothing but weights.

And what arithmetic with constants makes of them before they are used: ``0.02 * w``, ``1 + w``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from grader.engine.owners import ARITHMETIC, EACH_AS_IT_IS, ELEMENTWISE, FOLLOWED, arranged

Places = np.ndarray | None
"""For each element of a value its number, with an axis in front for the layers that one pass of a
loop stands for; None for what is not weights alone."""


class Made:
    """Numbers for the elements of all weights, laid flat, and for what is made of them.

    Args:
      size: of all weights: their elements have the first numbers.

    Attributes:
      of: for each number the element that it was made of.
      factors: what that was multiplied by.
      offsets: what was added then.

    """

    def __init__(self, size: int) -> None:
        self.of = np.arange(size)
        self.factors = np.ones(size)
        self.offsets = np.zeros(size)

    def by(self, name: str, places: np.ndarray, operands: Sequence[float | None]) -> np.ndarray:
        """New numbers for what an equation makes of a value and constants.

        Args:
          name: of its primitive.
          places: the numbers of the value.
          operands: the one number that each constant is full of, None for one that is not known
            and for the value itself.

        """
        known = [number for number in operands if number is not None]
        if name == "neg":
            return self._new(places, -1.0, 0.0)
        if len(operands) != 2 or len(known) != 1:
            return places
        (number,) = known
        value_first = operands[0] is None
        if name == "mul" and number:
            return self._new(places, number, 0.0)
        if name == "div" and number and value_first:
            return self._new(places, 1 / number, 0.0)
        if name == "add":
            return self._new(places, 1.0, number)
        if name == "sub":
            sign = 1.0 if value_first else -1.0
            return self._new(places, sign, -sign * number)
        return places

    def _new(self, places: np.ndarray, factor: float, offset: float) -> np.ndarray:
        before, which = np.unique(places, return_inverse=True)  # what is repeated stays so
        first = self.of.size
        self.of = np.concatenate([self.of, self.of[before]])
        self.factors = np.concatenate([self.factors, self.factors[before] * factor])
        self.offsets = np.concatenate([self.offsets, self.offsets[before] * factor + offset])
        return first + which.reshape(places.shape)

    def common(self, ways: Sequence[Places]) -> Places:
        """Where elements stand whichever branch is taken; None where that depends on it."""
        first = ways[0]
        if first is None or any(way is None or not self._same(first, way) for way in ways[1:]):
            return None
        return first

    def _same(self, one: np.ndarray, other: np.ndarray) -> bool:
        return one.shape == other.shape and all(
            np.array_equal(known[one], known[other])
            for known in (self.of, self.factors, self.offsets)
        )


def still_the_same(eqn: Any, operands: list[Places]) -> Places:
    """Where the elements stand in what arithmetic with constants makes of them, if it is that."""
    different = {id(places): places for places in operands if places is not None}
    if eqn.primitive.name not in ARITHMETIC or len(different) > 1:
        return None
    (places,) = different.values()
    return places if places.shape[1:] == eqn.outvars[0].aval.shape else None


def stacked(rows: Sequence[Places]) -> Places:
    """What the passes of a loop hand out one by one, as one value."""
    known = [row for row in rows if row is not None]
    return np.stack(known, axis=1) if len(known) == len(rows) else None


def all_arranged(
    eqn: Any, operands: list[Places], numbers: Sequence[np.ndarray | None]
) -> list[Places] | None:
    """Where the elements stand in the results of an equation that only arranges weights."""
    name = eqn.primitive.name
    if name in EACH_AS_IT_IS:
        return operands
    copies = {len(places) for places in operands if places is not None}
    if not operands or operands[0] is None or len(copies) > 1:
        return None
    if name in ELEMENTWISE:
        return operands[:1]
    if name not in FOLLOWED:
        return None
    each = []
    for i in range(copies.pop()):
        pairs = zip(operands, numbers, strict=True)
        one = arranged(eqn, [n if places is None else places[i] for places, n in pairs])
        if one is None:
            return None
        each.append(one)
    return [np.stack(copy) for copy in zip(*each, strict=True)]


def of_shape(places: Places, aval: Any) -> Places:
    """The same for a value of this shape, or for one pass of a loop over its first axis."""
    if places is None or places.shape[1:] == aval.shape:
        return places
    if places.shape[2:] == aval.shape:
        return places.reshape(-1, *aval.shape)
    return None

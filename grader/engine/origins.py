"""Which of the values that came up was computed from which, and the first that is not right.

The nearest value to one that did not come up may be any line's.  That a value is not among the
reference's, while all that it was computed from is, says where a submission leaves the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

INPUT = -1
"""Stands for what a function is given, among the places of values."""


class Origins:
    """Notes, while a program is evaluated, what each floating-point value is computed from.

    Args:
      inputs: what the program is given.

    """

    def __init__(self, inputs: Sequence[np.ndarray]) -> None:
        self._made_of: list[list[int]] = []
        self._of: dict[int, frozenset[int]] = {id(array): frozenset({INPUT}) for array in inputs}
        self._kept: list[Any] = list(inputs)  # an id is given again once its array is gone
        self._lost = False

    def note(self, values: Sequence[np.ndarray], arguments: Sequence[Any]) -> None:
        """That these values were computed from these arguments."""
        origin = self._origin(arguments)
        for value in values:
            self._kept.append(value)
            if value.dtype == np.float64:
                self._of[id(value)] = frozenset({len(self._made_of)})
                self._made_of.append(sorted(origin))
            else:
                self._of[id(value)] = origin

    def share(self, value: Any, sources: Sequence[Any]) -> None:
        """That a value, which does not count as one that came up, is made of others."""
        self._kept.append(value)
        self._of[id(value)] = self._origin(sources)

    def lose(self) -> None:
        """That values were put together in a way that is not followed."""
        self._lost = True

    def _origin(self, values: Sequence[Any]) -> frozenset[int]:
        return frozenset[int]().union(*(self._of.get(id(value), ()) for value in values))

    @property
    def made_of(self) -> list[list[int]] | None:
        """For each floating-point value the places of those that it was computed from.

        ``INPUT`` stands for an input; None where not all of it is known.
        """
        return None if self._lost else self._made_of


def first_astray(
    right: Sequence[bool], made_of: Sequence[Sequence[int]], ends: Sequence[int]
) -> list[int]:
    """The values on the way to wrong results that are not right, while what they are made of is.

    Args:
      right: of each value whether the reference has it.
      made_of: of each value the places of those that it was computed from, all before it.
      ends: places of results that are wrong.

    Returns:
      Their places, the first one first.  What depends on no input (a stack of kernels, say) counts
      as right, and so does what leads to nothing but values that are right.

    """
    by_input: list[bool] = []
    for parts in made_of:
        by_input.append(any(part == INPUT or by_input[part] for part in parts))
    wrong, left = set[int](), [end for end in ends if by_input[end] and not right[end]]
    while left:
        place = left.pop()
        wrong.add(place)
        left += [
            part
            for part in made_of[place]
            if part != INPUT and by_input[part] and not right[part] and part not in wrong
        ]
    return sorted(place for place in wrong if wrong.isdisjoint(made_of[place]))

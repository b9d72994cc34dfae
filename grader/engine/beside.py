"""Constants that an answer puts beside its features: the weights that meet them are a bias.

``[x, 1] @ W`` is ``x @ W[:-1] + W[-1]``: a kernel and a bias in one array that nothing cuts apart.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from grader.engine.owners import ELEMENTWISE

Cut = tuple[int, int, bool]
"""From where to where, and whether it meets constants."""


@dataclass(frozen=True)
class Beside:
    """A value of which some stretches along one axis are constants."""

    axis: int
    stretches: tuple[Cut, ...]


def beside(
    eqn: Any, known: Callable[[Any], Beside | None], is_constant: Callable[[Any], bool]
) -> Beside | None:
    """What an equation puts beside what, or what it keeps of that.

    Args:
      eqn: any equation.
      known: what was found for a variable before.
      is_constant: whether neither weights nor inputs decide a variable.

    """
    name = eqn.primitive.name
    if name == "concatenate":
        axis = eqn.params["dimension"]
        parts = [(var.aval.shape[axis], is_constant(var)) for var in eqn.invars]
        return _stretched(axis, parts)
    if name == "pad" and is_constant(eqn.invars[1]):
        config = eqn.params["padding_config"]
        padded = [axis for axis, widths in enumerate(config) if any(widths)]
        if not padded:
            return known(eqn.invars[0])
        if len(padded) != 1 or config[padded[0]][2] or min(config[padded[0]]) < 0:
            return None
        (axis,) = padded
        low, high, _ = config[axis]
        length = eqn.invars[0].aval.shape[axis]
        return _stretched(axis, [(low, True), (length, False), (high, True)])
    before = known(eqn.invars[0]) if eqn.invars else None
    if before is None or name in ELEMENTWISE:
        return before
    if name == "transpose":
        return replace(before, axis=eqn.params["permutation"].index(before.axis))
    if name == "broadcast_in_dim":
        return replace(before, axis=eqn.params["broadcast_dimensions"][before.axis])
    return None


def _stretched(axis: int, parts: Sequence[tuple[int, bool]]) -> Beside | None:
    """Stretches one after the other, None where they are all alike."""
    ends = list(itertools.accumulate((length for length, _ in parts), initial=0))
    cuts = [(a, b, part[1]) for (a, b), part in zip(itertools.pairwise(ends), parts) if b > a]
    found = [
        (run[0][0], run[-1][1], constant)
        for constant, each in itertools.groupby(cuts, key=lambda cut: cut[2])
        if (run := list(each))
    ]
    return Beside(axis, tuple(found)) if len(found) > 1 else None


def met(
    eqn: Any, weights: int, places: np.ndarray, known: Callable[[Any], Beside | None]
) -> list[tuple[np.ndarray, bool]] | None:
    """The parts of an operand of a product that meet features, and those that meet constants.

    Args:
      eqn: any equation.
      weights: which operand is weights alone.
      places: something for each of its elements, with an axis in front of its own.
      known: what was found for a variable.

    Returns:
      Parts of ``places`` and whether each meets constants; None where all meet the same.

    """
    if eqn.primitive.name != "dot_general":
        return None
    other = known(eqn.invars[1 - weights])
    contracted = eqn.params["dimension_numbers"][0]
    if other is None or other.axis not in contracted[1 - weights]:
        return None
    axis = contracted[weights][contracted[1 - weights].index(other.axis)] + 1
    return [
        (places.take(range(start, end), axis), constant) for start, end, constant in other.stretches
    ]

"""Draw cases: hyperparameters, weights and inputs that let mistakes show.

Weights are never the initial ones: zero biases, unit scales and near-zero tables hide
mistakes.  Sizes are drawn so that no axis can be taken for another (each problem's ``derive``
turns down draws that do not tell).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from grader.engine.layout import Leaf
from grader.problem import Contract, Problem, Sizes

STYLES = ("ordinary", "loud", "quiet")
"""Sizes of the weights: around 1, large (saturating), and tiny (where an epsilon shows)."""

_MOST_ATTEMPTS = 20_000
_SCALES = {"ordinary": 1.0, "loud": 2.5, "quiet": 1e-3}


class NoDraws(RuntimeError):
    """A problem's fields yield too few draws that tell the axes apart."""


@dataclass(frozen=True)
class Draw:
    """Hyperparameters: the ``fields`` as drawn, and the ``sizes`` that follow from them."""

    fields: dict[str, Any]
    sizes: Sizes

    @property
    def weight(self) -> int:
        """A rough measure of how much there is to look at."""
        return int(sum(v for v in self.fields.values() if isinstance(v, int)))


def make_draw(problem: Problem, fields: dict[str, Any]) -> Draw | None:
    """A draw with these fields; None when it does not tell the axes apart."""
    sizes = problem.derive(fields)
    return None if sizes is None else Draw(fields, sizes)


def draw_sizes(problem: Problem, generator: np.random.Generator, count: int) -> list[Draw]:
    """``count`` different draws of hyperparameters, the simplest one first.

    Raises:
      NoDraws: the problem's ``derive`` turned nearly everything down.

    """
    fields = {name: list(choices) for name, choices in problem.fields.items()}
    draws: list[Draw] = []
    for _ in range(_MOST_ATTEMPTS):
        fresh = {name: c[generator.integers(len(c))] for name, c in fields.items()}
        if not draws and problem.derive(fresh) is not None:
            fresh = simplest(problem, fresh)
        draw = make_draw(problem, fresh)
        if draw is not None and draw not in draws:
            draws.append(draw)
            if len(draws) == count:
                return draws
    raise NoDraws(f"problem {problem.number}: only {len(draws)} of {count} draws tell axes apart")


def simplest(problem: Problem, fields: dict[str, Any]) -> dict[str, Any]:
    """The draw shrunk field by field towards the first choices, as far as ``derive`` allows."""
    for smaller in shrunk(problem, fields):
        return simplest(problem, smaller)
    return fields


def shrunk(problem: Problem, fields: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Draws that differ from ``fields`` in one field, moved towards its first choice."""
    for name, choices in problem.fields.items():
        for choice in list(choices)[: list(choices).index(fields[name])]:
            smaller = {**fields, name: choice}
            if problem.derive(smaller) is not None:
                yield smaller


def draw_arrays(
    contract: Contract, sizes: Sizes, generator: np.random.Generator
) -> list[np.ndarray]:
    """The input arrays of a case, by sorted name."""
    specs = contract.arrays(sizes)
    arrays = []
    for name in sorted(specs):
        spec = specs[name]
        if spec.below is None:
            arrays.append(generator.normal(size=spec.shape) * spec.scale)
        else:
            arrays.append(generator.integers(spec.below, size=spec.shape).astype(np.int32))
    return arrays


def draw_weights(
    leaves: Sequence[Leaf], generator: np.random.Generator, style: str
) -> list[np.ndarray]:
    """Random values for every parameter of the reference, none left at its initial value."""
    return [_draw_leaf(leaf, generator, _SCALES[style]) for leaf in leaves]


def _draw_leaf(leaf: Leaf, generator: np.random.Generator, scale: float) -> np.ndarray:
    noise: np.ndarray = generator.normal(size=leaf.shape)
    if leaf.role == "scale":
        return 1.0 + 0.5 * noise
    if leaf.role == "kernel":
        incoming = leaf.shape[0] if len(leaf.shape) == 3 else int(np.prod(leaf.shape[:-1]))
        return noise * (scale / float(np.sqrt(max(incoming, 1))))
    if leaf.role == "add" and len(leaf.shape) < 2:
        return 0.5 * scale * noise
    return scale * noise

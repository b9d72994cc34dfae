"""Draw cases: hyperparameters, weights and inputs that let mistakes show.

Weights are never the initial ones: zero biases, unit scales and near-zero tables hide
mistakes.  Sizes are drawn so that no axis can be taken for another (each problem's ``tells``
turns down the rest).  To these come the problem's corners: what is wrong with one head, one token
or a square grid only would not show in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from grader.engine.layout import Leaf
from grader.problem import Contract, Problem, Sizes

STYLES = ("ordinary", "loud", "quiet")
"""Sizes of the weights: around 1, large (saturating), and tiny (where an epsilon shows)."""
EXTREME = len(STYLES)
"""One more, so large that only whether the result is finite can be asked."""
RARE = {
    "blank": "some rows of the input are zero",
    "alike": "all rows of the input are equal",
    "shifted": "biases are large",
}
"""What random cases never have: where padding is masked, ties are broken and values are cut off."""
ALL_STYLES = (*STYLES, "extreme", *RARE)

_MOST_ATTEMPTS = 20_000
_SCALES = {"loud": 2.5, "quiet": 1e-3, "extreme": 6.0}
_LARGE_BIAS = 100.0


class NoDraws(RuntimeError):
    """A problem's fields yield too few draws that tell the axes apart."""


@dataclass(frozen=True)
class Draw:
    """Hyperparameters: the ``fields`` as drawn, and the ``sizes`` that follow from them.

    ``tells`` is whether the sizes tell the axes apart.
    """

    fields: dict[str, Any]
    sizes: Sizes
    tells: bool = True

    @property
    def plainness(self) -> tuple[bool, int]:
        """The smaller, the easier to see through: axes told apart, then how much there is."""
        weight = int(sum(v for v in self.fields.values() if isinstance(v, int)))
        return not self.tells, weight


def make_draw(problem: Problem, fields: Mapping[str, Any]) -> Draw:
    """A draw with these fields."""
    sizes = problem.derive(fields)
    return Draw(dict(fields), sizes, problem.tells(sizes))


def draws_with_corners(problem: Problem, generator: np.random.Generator, count: int) -> list[Draw]:
    """``count`` draws: by chance, and, when there is room for as many again, the corners."""
    corners = problem.corners if count >= 2 * len(problem.corners) else ()
    drawn = draw_sizes(problem, generator, count - len(corners))
    models = any(contract.creates_parameters for contract in problem.contracts)
    place = ample(drawn)
    if models and place and not _is_ample(drawn[place]):
        found = _ample_draws(problem, drawn[place], generator.spawn(1)[0])
        drawn[place] = next(draw for draw in found if draw != drawn[0])
    return drawn + [make_draw(problem, fields) for fields in corners]


def at_a_corner(problem: Problem, draw: Draw) -> bool:
    """Whether sizes are not drawn: with one token alone, say, many mistakes look alike."""
    return any(draw.fields[name] not in choices for name, choices in problem.fields.items())


def ample(draws: Sequence[Draw]) -> int:
    """The number of the draw in which whatever a model consists of occurs at least twice."""
    return min(1, len(draws) - 1)


def usual(draws: Sequence[Draw], contract: Contract) -> list[int]:
    """The numbers of the draws on which is asked what is not asked on all: the ample one.

    And, of a function without parameters, the simplest one, where nothing is large.
    """
    return [ample(draws)] if contract.creates_parameters else sorted({0, ample(draws)})


def _is_ample(draw: Draw) -> bool:
    return not any(isinstance(value, int) and value < 2 for value in draw.fields.values())


def _ample_draws(problem: Problem, like: Draw, generator: np.random.Generator) -> list[Draw]:
    """Draws in which whatever is counted is there at least twice, the simplest one first.

    What is not counted (a scale, a temperature) is as in the draw ``like``.
    """
    fields: dict[str, Sequence[Any]] = {}
    for name, choices in problem.fields.items():
        counted = [c for c in choices if isinstance(c, int) and c > 1]
        fields[name] = counted or [like.fields[name]]
    return draw_sizes(replace(problem, fields=fields), generator, 2)


def draw_sizes(problem: Problem, generator: np.random.Generator, count: int) -> list[Draw]:
    """``count`` different draws of hyperparameters, the simplest one first.

    Raises:
      NoDraws: the problem's ``tells`` turned nearly everything down.

    """
    fields = {name: list(choices) for name, choices in problem.fields.items()}
    draws: list[Draw] = []
    for _ in range(_MOST_ATTEMPTS):
        fresh = {name: c[generator.integers(len(c))] for name, c in fields.items()}
        draw = make_draw(problem, fresh)
        if draw.tells and not draws:
            draw = simplest(problem, draw)
        if draw.tells and draw not in draws:
            draws.append(draw)
            if len(draws) == count:
                return draws
    raise NoDraws(f"problem {problem.number}: only {len(draws)} of {count} draws tell axes apart")


def simplest(problem: Problem, draw: Draw) -> Draw:
    """The draw shrunk field by field towards the first choices, as far as the axes allow."""
    for smaller in shrunk(problem, draw):
        return simplest(problem, smaller)
    return draw


def shrunk(problem: Problem, draw: Draw) -> Iterator[Draw]:
    """Draws that differ in one field, moved towards its first choice, and tell as much apart."""
    for name, choices in problem.fields.items():
        value, known = draw.fields[name], list(choices)
        before = known[: known.index(value)] if value in known else [c for c in known if c < value]
        for choice in before:
            smaller = make_draw(problem, {**draw.fields, name: choice})
            if smaller.tells or not draw.tells:
                yield smaller


def draw_arrays(
    contract: Contract, sizes: Sizes, generator: np.random.Generator, style: str = STYLES[0]
) -> list[np.ndarray]:
    """The input arrays of a case, by sorted name."""
    specs = contract.arrays(sizes)
    arrays = []
    for name in sorted(specs):
        spec = specs[name]
        if spec.below is None:
            drawn = generator.normal(size=spec.shape) * spec.scale
            arrays.append(_with_rare_rows(drawn, style) if drawn.ndim > 1 else drawn)
        else:
            arrays.append(generator.integers(spec.below, size=spec.shape).astype(np.int32))
    return arrays


def _with_rare_rows(array: np.ndarray, style: str) -> np.ndarray:
    """The array as a style has it: rows are what all axes but the last one count."""
    if style == "alike":
        first = array[(0,) * (array.ndim - 1)]
        return np.broadcast_to(first, array.shape).copy()
    if style == "blank" and array.ndim > 3:  # of a batch of images every second one
        array[..., ::2, :, :, :] = 0.0
    elif style == "blank":  # in an image a corner, which is a patch at least
        array[tuple(slice(length // 2) for length in array.shape[:-1])] = 0.0
    return array


def draw_weights(
    leaves: Sequence[Leaf], generator: np.random.Generator, style: str
) -> list[np.ndarray]:
    """Random values for every parameter of the reference, none left at its initial value."""
    return [
        _draw_leaf(leaf, generator, _SCALES.get(style, 1.0))
        * (_LARGE_BIAS if style == "shifted" and _is_plain_bias(leaf) else 1.0)
        for leaf in leaves
    ]


def _is_plain_bias(leaf: Leaf) -> bool:
    """Whether this is a bias of which no softmax makes zeros and ones."""
    return leaf.role == "add" and len(leaf.shape) == 1 and "norm" not in leaf.path


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

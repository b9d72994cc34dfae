"""What an author writes: a ``Problem`` with its contracts, stages, pitfalls, variants and hints.

A spec (``grader/specs/pNN_name.py``, or a package of that name) imports this module and the shared
shapes beside it, nothing else of the package.  Everything here is data; the engine reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Sizes = Mapping[str, Any]
"""One draw of hyperparameters: ``{"patch_size": 2, "d_model": 12, …}``."""

CheckId = Literal[
    "reads",
    "contract",
    "implemented",
    "runs",
    "parameters",
    "shape",
    "finite",
    "numbers",
    "properties",
    "repeats",
    "seed",
    "initial",
    "transforms",
    "gradients",
]


@dataclass(frozen=True)
class ArraySpec:
    """An input array to draw: normal values times ``scale``, or integers below ``below``."""

    shape: tuple[int, ...]
    scale: float = 1.0
    below: int | None = None


Run = Callable[[Mapping[str, Any]], list[Any]]
"""Evaluates the submission on input arrays (by name), with fixed weights: its outputs."""


@dataclass(frozen=True)
class Property:
    """Something that must hold whatever the numbers are; it teaches when they are wrong.

    Attributes:
      title: the statement, e.g. ``permuted tokens give permuted results``.
      holds: whether it holds, given ``(run, arrays, sizes)``.

    """

    title: str
    holds: Callable[[Run, Mapping[str, Any], Sizes], bool]


@dataclass(frozen=True)
class Contract:
    """One public function that a submission must define.

    Attributes:
      function: its name.
      arguments: the names of its arguments, in order.
      outputs: a word for each array that it returns, in order.
      arrays: the input arrays of a draw, by argument name.
      call: how the function is called with ``(function, seed, sizes, arrays)``; by default
        positionally, each argument taken from the arrays, else from the sizes.
      creates_parameters: whether it makes its own weights (Linen ``init``) from a seed.
      weight: its share of the score, relative to the other contracts of the problem.
      properties: what must hold beside the numbers.

    """

    function: str
    arguments: tuple[str, ...]
    outputs: tuple[str, ...]
    arrays: Callable[[Sizes], Mapping[str, ArraySpec]]
    call: Callable[[Callable[..., Any], int, Sizes, Mapping[str, Any]], Any] | None = None
    creates_parameters: bool = True
    weight: float = 1.0
    properties: tuple[Property, ...] = ()

    def run(
        self, function: Callable[..., Any], seed: int, sizes: Sizes, arrays: Mapping[str, Any]
    ) -> Any:
        """Call ``function`` as the contract says."""
        if self.call is not None:
            return self.call(function, seed, sizes, arrays)
        known = {"seed": seed, **sizes, **arrays}
        return function(*(known[name] for name in self.arguments))


@dataclass(frozen=True)
class Stage:
    """A named intermediate value of the reference, marked there with ``checkpoint_name``.

    Attributes:
      name: the name in the reference.
      title: how reports call it; ``{i}`` is the number of its occurrence, from 1.
      rows: whether its first axis is a sequence whose order may differ in right answers.
      given: what an occurrence after the first is computed from, where an earlier call returned
        that; ``{i}`` is the number of the occurrence before it.
      negated: whether right answers may have it with the other sign only, as a log-likelihood.

    """

    name: str
    title: str
    rows: bool = False
    given: str = ""
    negated: bool = False


@dataclass(frozen=True)
class Edit:
    """A replacement in the text of a solution: ``old`` stands there exactly once.

    ``problem`` is the number of the solution, by default the one that the pitfall belongs to.
    """

    old: str
    new: str
    problem: int | None = None


@dataclass(frozen=True)
class Pitfall:
    """A known mistake, kept as an edit of the reference so that it can be run.

    Attributes:
      id: short and stable, e.g. ``cls-last``.
      title: the mistake in a student's words.
      advice: explains without giving the answer away.
      edits: what turns the reference into the mistake.
      check: the check that must catch it.
      stage: name of the stage where the mistake first shows, if one does.
      hints: from gentle to plain; shown one at a time when this pitfall was diagnosed.

    """

    id: str
    title: str
    advice: str
    edits: tuple[Edit, ...]
    check: CheckId = "numbers"
    stage: str | None = None
    hints: tuple[str, ...] = ()


@dataclass(frozen=True)
class Variant:
    """An accepted alternative, kept like a pitfall; it passes with ``remark``."""

    id: str
    remark: str
    edits: tuple[Edit, ...]


@dataclass(frozen=True)
class Problem:
    """Everything the grader knows about one exercise.

    Attributes:
      number, slug: ``46`` and ``"vit_cls"``: the file is ``46_vit_cls.py``.
      title: a line for people.
      teaches: what the problem teaches, for the table in the README.
      contracts: the functions that a submission must define.
      fields: the choices for each hyperparameter, the simplest first; diagnosis shrinks
        towards the first.
      derive: completes a draw of the fields (``d_model`` from heads and head size).
      tells: whether the sizes of a draw tell the axes apart: a case on which a mistake cannot be
        seen is a wasted case.
      corners: fields at the edges of what the contract allows (one head, one token, a square
        grid, many layers, large values), where the axes need not be told apart; beyond the draws
        by chance, each is drawn in a full grading.
      symbols: names for the lengths of axes, for words like ``(N + 1, D)``.
      blocks: problems whose blocks the reference uses: their pitfalls and variants count too.
      parameters: words for parameters of the reference by path, e.g. ``{"cls": "CLS token"}``.
      stages: in the order of the computation.
      hints: three levels for the problem as a whole.

    """

    number: int
    slug: str
    title: str
    teaches: str
    contracts: tuple[Contract, ...]
    fields: Mapping[str, Sequence[Any]]
    derive: Callable[[Mapping[str, Any]], Sizes]
    tells: Callable[[Sizes], bool]
    symbols: Callable[[Sizes], Mapping[str, int]]
    corners: tuple[Mapping[str, Any], ...] = ()
    blocks: tuple[int, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)
    stages: tuple[Stage, ...] = ()
    pitfalls: tuple[Pitfall, ...] = ()
    variants: tuple[Variant, ...] = ()
    hints: tuple[str, ...] = ()

    @property
    def filename(self) -> str:
        """``46_vit_cls.py``."""
        return f"{self.number}_{self.slug}.py"

    @property
    def name(self) -> str:
        """``46_vit_cls``."""
        return f"{self.number}_{self.slug}"

"""How far a submission is from a mutant of the reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from grader.engine.pairing import DEFAULT, Choices
from grader.problem import Problem

UNKNOWN = 10**6
"""A distance that cannot be measured, because something before it does not match."""


@dataclass(frozen=True, order=True)
class Distance:
    """How far a submission is from a mutant: parameters, then stages, then single values."""

    parameters: int
    stages: int
    values: int


@dataclass(frozen=True)
class Comparison:
    """A submission beside a mutant on one case."""

    distance: Distance
    equal: bool = False
    found: int = 0  # how many of the mutant's values came up, less the parameters that did not
    choices: Choices = DEFAULT
    plain: bool = True  # whether no table had to be taken apart to pair the parameters
    parted: Mapping[int, str | None] = field(default_factory=dict)  # by problem, in its own stages
    between: frozenset[str] = frozenset()  # stages from the problem's last found to its next

    def order(self) -> tuple[bool, Distance, int]:
        """The smaller, the more promising."""
        return not self.plain, self.distance, -self.found

    def leads_on_from(self, here: Comparison) -> bool:
        """Whether there is more agreement: better parameters, a later stage, more values."""
        if self.equal:
            return True
        ours, before = self.distance, here.distance
        if (ours.parameters, ours.stages) != (before.parameters, before.stages):
            return ours < before
        return self.found > here.found and ours.values <= before.values

    def further(self, than: Comparison, problem: Problem) -> bool:
        """Whether the parameters match better, or a later stage of the problem itself came up."""
        if than.distance.parameters:
            return self.distance.parameters < than.distance.parameters
        mine, other = (c.parted.get(problem.number) for c in (self, than))
        return self.distance.stages < than.distance.stages < UNKNOWN and mine != other


@dataclass(frozen=True, order=True)
class Apart:
    """How far the parameters of two are apart: in numbers created, then in arrays by size.

    A projection that is split or fused creates as many numbers in other arrays.
    """

    numbers: int
    arrays: int

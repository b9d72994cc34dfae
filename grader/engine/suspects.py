"""The known mistakes that can explain a submission, likely ones first."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from grader import catalogue
from grader.engine.reference import Solutions, edits_by_problem
from grader.problem import CheckId, Edit, Pitfall, Problem, Variant


@dataclass(frozen=True)
class Suspect:
    """Edits of the reference that may be what the submission does: mistakes and variants."""

    pitfalls: tuple[tuple[int, Pitfall], ...] = ()
    variants: tuple[tuple[int, Variant], ...] = ()

    def solutions(self) -> Solutions:
        """The reference with the edits carried out."""
        edits: dict[int, list[Edit]] = {}
        for number, item in (*self.variants, *self.pitfalls):
            for owner, some in edits_by_problem(number, item.edits).items():
                edits.setdefault(owner, []).extend(some)
        return Solutions(edits)

    def joined(self, other: Suspect) -> Suspect:
        """Both at once."""
        return Suspect(self.pitfalls + other.pitfalls, self.variants + other.variants)


def family_of(problem: Problem) -> list[Problem]:
    """The problem and those whose blocks it contains."""
    members = [problem]
    for number in problem.blocks:
        for member in family_of(catalogue.problem(number)):
            if member not in members:
                members.append(member)
    return members


def variant_suspects(problem: Problem) -> list[Suspect]:
    """Every combination of accepted variants, single ones first."""
    owned = [(member.number, v) for member in family_of(problem) for v in member.variants]
    return [
        Suspect(variants=chosen)
        for count in range(1, len(owned) + 1)
        for chosen in itertools.combinations(owned, count)
    ]


def pitfall_suspects(problem: Problem, failed: CheckId | None, stage: str | None) -> list[Suspect]:
    """Every single mistake; those that fail the same check at the same stage come first."""
    owned = [(member.number, p) for member in family_of(problem) for p in member.pitfalls]
    owned.sort(key=lambda item: (item[1].stage != stage, item[1].check != failed))
    return [Suspect(pitfalls=(item,)) for item in owned]


def pair_suspects(singles: Sequence[Suspect], variants: Sequence[Suspect]) -> Iterator[Suspect]:
    """A mistake together with variants, then two mistakes, in the order of the singles."""
    for variant in variants:
        for single in singles:
            yield single.joined(variant)
    pairs = itertools.combinations(range(len(singles)), 2)
    for first, second in sorted(pairs, key=lambda pair: (sum(pair), pair)):
        yield singles[first].joined(singles[second])

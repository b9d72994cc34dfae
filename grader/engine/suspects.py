"""The known mistakes and accepted variants that can explain a submission."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from grader import catalogue
from grader.engine.reference import Solutions, edits_by_problem, solution_text, unedited
from grader.problem import CheckId, Edit, Pitfall, Problem, Stage, Variant


@dataclass(frozen=True)
class Suspect:
    """Edits of the reference that may be what the submission does: mistakes and variants.

    Each comes with the number of the problem whose spec describes it.
    """

    pitfalls: tuple[tuple[int, Pitfall], ...] = ()
    variants: tuple[tuple[int, Variant], ...] = ()

    def solutions(self) -> Solutions:
        """The reference with the edits carried out."""
        if not self.pitfalls and not self.variants:
            return unedited()
        return _kept(self)

    def _edited(self) -> Solutions:
        edits: dict[int, list[Edit]] = {}
        # In the order of the spec, whichever was found first: an edit may need another's text.
        pitfalls = sorted(self.pitfalls, key=_place)
        items: list[tuple[int, Pitfall | Variant]] = [*self.variants, *pitfalls]
        for number, item in items:
            for owner, some in edits_by_problem(number, item.edits).items():
                edits.setdefault(owner, []).extend(some)
        creating = tuple(item for item in self.pitfalls if item[1].check == "parameters")
        like = None if len(creating) == len(self.pitfalls) else Suspect(creating).solutions()
        return Solutions(edits, like)

    def joined(self, other: Suspect) -> Suspect:
        """Both at once."""
        return Suspect(self.pitfalls + other.pitfalls, self.variants + other.variants)

    def parts(self) -> list[Suspect]:
        """Each mistake and each variant alone."""
        mistakes = [Suspect(pitfalls=(item,)) for item in self.pitfalls]
        return mistakes + [Suspect(variants=(item,)) for item in self.variants]

    def contains(self, other: Suspect) -> bool:
        """Whether everything in ``other`` is in this one, too."""
        return set(other.pitfalls) <= set(self.pitfalls) and set(other.variants) <= set(
            self.variants
        )

    def same(self, other: Suspect) -> bool:
        """Whether the two name the same mistakes and variants, in whatever order."""
        return self.contains(other) and other.contains(self)

    @property
    def check(self) -> CheckId:
        """The check that the last mistake fails."""
        return self.pitfalls[-1][1].check if self.pitfalls else "numbers"

    @property
    def owner(self) -> int:
        """The problem whose spec describes the last mistake or variant."""
        return (self.pitfalls or self.variants)[-1][0]

    @property
    def stage(self) -> str | None:
        """The stage where the last mistake first shows."""
        return self.pitfalls[-1][1].stage if self.pitfalls else None


AS_IT_IS = Suspect()


def _place(item: tuple[int, Pitfall]) -> tuple[int, int]:
    number, pitfall = item
    return number, catalogue.problem(number).pitfalls.index(pitfall)


@cache
def _kept(suspect: Suspect) -> Solutions:
    return suspect._edited()


def family_of(problem: Problem) -> list[Problem]:
    """The problem and those whose blocks it contains."""
    members = [problem]
    for number in problem.blocks:
        for member in family_of(catalogue.problem(number)):
            if member not in members:
                members.append(member)
    return members


@cache
def pitfalls_of(number: int) -> tuple[tuple[int, Pitfall], ...]:
    """Every mistake that an answer to this problem can contain, with its owner's number.

    A block's mistake with the seed lies in the function around the block, which is not here.
    """
    members = family_of(catalogue.problem(number))
    return tuple(
        (member.number, pitfall)
        for member in members
        for pitfall in member.pitfalls
        if member.number == number or pitfall.check != "seed"
    )


def stages_of(problem: Problem) -> list[Stage]:
    """The stages of the problem and of its blocks."""
    found: dict[str, Stage] = {}
    for member in family_of(problem):
        for stage in member.stages:
            found.setdefault(stage.name, stage)
    return list(found.values())


def variant_suspects(problem: Problem) -> list[Suspect]:
    """Every accepted variant of the problem and its blocks."""
    members = family_of(problem)
    return [Suspect(variants=((m.number, v),)) for m in members for v in m.variants]


def single_suspects(problem: Problem, failed: CheckId | None, function: str = "") -> list[Suspect]:
    """Every known mistake that can show in ``function``, those first that fail the same check, of
    them those first that lie in it; then the variants.
    """
    reached = _reached_from(problem.number, function)

    def order(item: tuple[int, Pitfall]) -> tuple[bool, bool]:
        number, pitfall = item
        return pitfall.check != failed, function not in _places_of(number, pitfall.edits)

    def shows(item: tuple[int, Pitfall]) -> bool:
        number, pitfall = item
        places = _places_of(number, pitfall.edits)
        return number != problem.number or not places or not reached.isdisjoint(places)

    owned = sorted(filter(shows, pitfalls_of(problem.number)), key=order)
    return [Suspect(pitfalls=(item,)) for item in owned] + variant_suspects(problem)


@cache
def _places_of(number: int, edits: tuple[Edit, ...]) -> frozenset[str]:
    """The functions and classes of a solution in which edits lie."""
    found = set()
    for edit in edits:
        text = solution_text(edit.problem or number)
        defined = _DEFINED.findall(text[: text.find(edit.old) + 1])
        found.update(defined[-1:])
    return frozenset(found)


@cache
def _reached_from(number: int, function: str) -> frozenset[str]:
    """A function of a solution, and the functions and classes that it uses; all without one."""
    _, *rest = _DEFINED.split(solution_text(number))
    bodies = dict(zip(rest[::2], rest[1::2], strict=True))
    reached, waiting = set[str](), [function] if function in bodies else list(bodies)
    while waiting:
        name = waiting.pop()
        reached.add(name)
        words = set(re.findall(r"\w+", bodies[name]))
        waiting += [other for other in bodies if other in words and other not in reached]
    return frozenset(reached)


_DEFINED = re.compile(r"^(?:def|class) (\w+)", re.MULTILINE)


def forget() -> None:
    """Drop every edited solution that this process holds."""
    _kept.cache_clear()

"""Hints, one more each time: those of the mistakes found last, then the problem's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from grader import catalogue
from grader.problem import Problem
from grader.study.progress import Reached

OWN = ""
"""Stands for the problem's own hints among those of its mistakes."""


@dataclass(frozen=True)
class Hint:
    """One hint.

    Attributes:
      text: what to tell.
      about: the title of the mistake that it belongs to; empty for the problem as a whole.
      place: which one it is of those, from 1.
      of: how many of those there are.

    """

    text: str
    about: str
    place: int
    of: int


@dataclass(frozen=True)
class Sources:
    """Where hints come from, in order: ``(key, title of the mistake, hints)``."""

    all: tuple[tuple[str, str, tuple[str, ...]], ...]

    def shown(self, reached: Reached) -> list[Hint]:
        """Those that were shown already."""
        return [
            Hint(text, title, i + 1, len(texts))
            for key, title, texts in self.all
            for i, text in enumerate(texts[: reached.hints.get(key, 0)])
        ]

    def one_more(self, reached: Reached) -> tuple[Hint | None, Reached]:
        """The next hint (None: there is no other) and what is reached once it is shown."""
        for key, title, texts in self.all:
            count = reached.hints.get(key, 0)
            if count < len(texts):
                hint = Hint(texts[count], title, count + 1, len(texts))
                return hint, replace(reached, hints={**reached.hints, key: count + 1})
        return None, reached


def sources(problem: Problem, reached: Reached) -> Sources:
    """The hints that fit: first those of the mistakes in the last verdict."""
    return Sources((*_of_mistakes(reached), (OWN, "", problem.hints)))


def _of_mistakes(reached: Reached) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    for name in reached.diagnosed:
        number, _, id = name.partition("/")
        if number.isdecimal() and int(number) in catalogue.names():
            for pitfall in catalogue.problem(int(number)).pitfalls:
                if pitfall.id == id:
                    yield name, pitfall.title, pitfall.hints

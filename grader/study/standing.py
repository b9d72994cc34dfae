"""Where a student stands with every problem."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from grader import catalogue
from grader.study import stubs
from grader.study.progress import Reached, text_of

State = Literal["not started", "tried", "passed", "passed with help"]


@dataclass(frozen=True)
class Standing:
    """One problem: its state, the best score, and whether its solution was asked for."""

    number: int
    title: str
    state: State
    score: float
    helped: bool

    @property
    def passed(self) -> bool:
        """Whether it passed, with help or without."""
        return self.state in ("passed", "passed with help")


def standings(known: Mapping[int, Reached]) -> list[Standing]:
    """All problems in order."""
    return [standing(number, known.get(number, Reached())) for number in catalogue.names()]


def standing(number: int, reached: Reached) -> Standing:
    """Where a student stands with one problem; an untouched stub is not started."""
    state: State
    if reached.passed:
        state = "passed with help" if reached.helped else "passed"
    elif reached.score > 0 or has_own_text(number):
        state = "tried"
    else:
        state = "not started"
    title = catalogue.problem(number).title
    return Standing(number, title, state, reached.score, reached.helped)


def has_own_text(number: int) -> bool:
    """Whether the answer's file is there and differs from the stub."""
    name = catalogue.solution_path(number).name
    text = text_of(catalogue.PROBLEMS / name)
    return text is not None and text != stubs.stub_for(number)


def next_to_do(all_of_them: list[Standing]) -> Standing | None:
    """The first problem that has not passed; None when all have."""
    return next((one for one in all_of_them if not one.passed), None)

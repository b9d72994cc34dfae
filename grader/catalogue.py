"""Find problems: by number, by name, by file."""

from __future__ import annotations

import importlib
import re
from functools import cache
from pathlib import Path

from grader.problem import Problem

ROOT = Path(__file__).resolve().parent.parent
PROBLEMS = ROOT / "problems"
SOLUTIONS = ROOT / "solutions"
_SPEC = re.compile(r"p(\d+)_(\w+?)(\.py)?$")  # a module, or a package of several


class UnknownProblem(LookupError):
    """No problem has this number."""


@cache
def names() -> dict[int, str]:
    """``{46: "vit_cls", …}`` for every problem, in order."""
    found = (_SPEC.match(path.name) for path in (ROOT / "grader" / "specs").iterdir())
    return dict(sorted((int(m[1]), m[2]) for m in found if m))


@cache
def problem(number: int) -> Problem:
    """The problem with this number.

    Raises:
      UnknownProblem: there is none.

    """
    if number not in names():
        raise UnknownProblem(f"there is no problem {number}; there are {known()}")
    module = importlib.import_module(f"grader.specs.p{number}_{names()[number]}")
    found: Problem = module.PROBLEM
    return found


def number_of(word: str) -> int | None:
    """The problem that a word names (``46``, ``vit_cls``, ``46_vit_cls``), None for other words.

    Raises:
      UnknownProblem: ``word`` is a number and no problem has it.

    """
    if re.fullmatch(r"[0-9]+", word):
        if int(word) not in names():
            raise UnknownProblem(f"there is no problem {int(word)}; there are {known()}")
        return int(word)
    for number, slug in names().items():
        if word in (slug, f"{number}_{slug}"):
            return number
    return None


def known() -> str:
    """The numbers of all problems, for messages."""
    return ", ".join(map(str, names()))


def solution_path(number: int) -> Path:
    """Where the reference solution of a problem lies."""
    if number not in names():
        raise UnknownProblem(f"there is no problem {number}")
    return SOLUTIONS / f"{number}_{names()[number]}.py"

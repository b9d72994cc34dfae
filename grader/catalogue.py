"""Find problems: by number, by name, by file."""

from __future__ import annotations

import importlib
import re
from functools import cache
from pathlib import Path

from grader.faults import ROOT, BrokenProblem, check_spec, error_words, shown
from grader.problem import Problem

__all__ = ["PROBLEMS", "ROOT", "SOLUTIONS", "BrokenProblem", "UnknownProblem"]

PROBLEMS = ROOT / "problems"
SOLUTIONS = ROOT / "solutions"
SPECS = ROOT / "grader" / "specs"
MOST_SEED = 10**9
"""The largest seed to draw cases by: those that are derived from it fit into an int32, too."""
_SPEC = re.compile(r"p(\d+)_(\w+?)(\.py)?$")  # a module, or a package of several


class UnknownProblem(LookupError):
    """No problem has this number."""


@cache
def names() -> dict[int, str]:
    """``{46: "vit_cls", …}`` for every problem, in order."""
    found = (_SPEC.match(path.name) for path in SPECS.iterdir())
    return dict(sorted((int(m[1]), m[2]) for m in found if m))


@cache
def problem(number: int) -> Problem:
    """The problem with this number.

    Raises:
      UnknownProblem: there is none.
      BrokenProblem: its spec cannot be used.

    """
    if number not in names():
        raise UnknownProblem(f"there is no problem {number}; there are {known()}")
    name = f"p{number}_{names()[number]}"
    path = SPECS / name if (SPECS / name).is_dir() else SPECS / f"{name}.py"
    try:
        module = importlib.import_module(f"grader.specs.{name}")
    except OSError:  # a process that may not read the specs
        raise
    except Exception as error:
        raise BrokenProblem(error_words(error, path)) from error
    found = getattr(module, "PROBLEM", None)
    if not isinstance(found, Problem):
        raise BrokenProblem(f"{shown(path)} defines no PROBLEM")
    check_spec(found, path, number, names())
    return found


def number_of(word: str) -> int | None:
    """The problem that a word names (``46``, ``vit_cls``, ``46_vit_cls``), None for other words.

    Raises:
      UnknownProblem: ``word`` is a number and no problem has it.

    """
    if re.fullmatch(r"[0-9]+", word):
        digits = word.lstrip("0")
        for number in names():
            if digits == str(number):
                return number
        shown = digits if len(digits) < 10 else f"{digits[:9]}…"
        raise UnknownProblem(f"there is no problem {shown or 0}; there are {known()}")
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


def solution_text(number: int) -> str:
    """The text of that file.

    Raises:
      BrokenProblem: it cannot be read.

    """
    path = solution_path(number)
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BrokenProblem(
            f"problem {number} has no solution: there is no {shown(path)}"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise BrokenProblem(error_words(error, path)) from error

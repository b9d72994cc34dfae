"""Whose blocks ``use`` gives a submission: the student's own where they have passed."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from grader import catalogue
from grader.engine.suspects import family_of
from grader.problem import Problem


@dataclass(frozen=True)
class Block:
    """The text behind ``use(number)``, and why it is this one."""

    number: int
    path: Path
    source: str
    reason: str


def choose(problem: Problem, has_passed: Callable[[int, str], bool]) -> list[Block]:
    """A block for every problem that ``problem`` may build on.

    Args:
      problem: the one that is graded.
      has_passed: whether a text is known to have passed as the answer to a problem.

    """
    members = [member.number for member in family_of(problem) if member is not problem]
    return [_choose(number, has_passed) for number in members]


def _choose(number: int, has_passed: Callable[[int, str], bool]) -> Block:
    solution = catalogue.solution_path(number)
    reference = solution.read_text(encoding="utf-8")
    own = catalogue.PROBLEMS / solution.name
    try:
        source = own.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return Block(number, solution, reference, "the reference's: there is no answer of yours")
    if not has_passed(number, source):
        return Block(number, solution, reference, "the reference's: yours has not passed yet")
    missing = sorted(_classes(reference) - _classes(source))
    if missing:
        why = f"the reference's: yours defines no {', '.join(missing)}"
        return Block(number, solution, reference, why)
    return Block(number, own, source, f"your own, from {own.parent.name}/{own.name}")


def _classes(source: str) -> set[str]:
    tree = ast.parse(source)
    return {node.name for node in tree.body if isinstance(node, ast.ClassDef)}


def notes(blocks: Iterable[Block], used: Iterable[int]) -> list[str]:
    """A line for each block that the submission brought in."""
    asked = set(used)
    return [f"use({block.number}) is {block.reason}" for block in blocks if block.number in asked]

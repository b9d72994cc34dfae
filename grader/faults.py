"""What is wrong with a problem itself, in words for its author."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from grader.problem import Problem

ROOT = Path(__file__).resolve().parent.parent
_WRITTEN_BY_AUTHORS = (ROOT / "grader" / "specs", ROOT / "solutions")


class BrokenProblem(Exception):
    """A spec or a solution cannot be used: one line that names the file."""


def shown(path: Path) -> str:
    """``path`` as people write it who stand in the repository."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def error_words(error: Exception, path: Path) -> str:
    """One line: the file and line of a spec or solution where an error arose, else ``path``."""
    place = shown(path)
    for file, line in _places(error):
        if any(Path(file).is_relative_to(folder) for folder in _WRITTEN_BY_AUTHORS):
            place = f"{shown(Path(file))}, line {line}"
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{place}: {type(error).__name__}: {' '.join(message.split())[:300]}"


def _places(error: Exception) -> Iterator[tuple[str, int]]:
    """Files and lines that an error came through, from the outside in."""
    for frame, line in traceback.walk_tb(error.__traceback__):
        yield frame.f_code.co_filename, line
    if isinstance(error, SyntaxError):
        yield error.filename or "", error.lineno or 1


def check_spec(problem: Problem, path: Path, number: int, known: Mapping[int, str]) -> None:
    """Look at what can be said without the solution.

    Args:
      problem: what the spec defines.
      path: where the spec lies.
      number: the number in the name of that file.
      known: the names of all problems by number.

    Raises:
      BrokenProblem: something cannot be as it is.

    """
    fault = next(_faults(problem, path, number, known), None)
    if fault is not None:
        raise BrokenProblem(fault)


def _faults(problem: Problem, path: Path, number: int, known: Mapping[int, str]) -> Iterator[str]:
    place = shown(path)
    if (problem.number, problem.slug) != (number, known[number]):
        says = f"number {problem.number} and slug {problem.slug!r}"
        yield f"{place}: {says} are not those of the file's name"
    for block in problem.blocks:
        if block not in known or block >= number:
            yield f"{place}: blocks: there is no earlier problem {block}"
    for corner in problem.corners:
        lacking = [name for name in problem.fields if name not in corner]
        if lacking:
            yield f"{place}: the corner {dict(corner)} lacks {', '.join(lacking)}"
    simplest = {name: next(iter(choices), None) for name, choices in problem.fields.items()}
    for fields in (simplest, *problem.corners):
        try:
            missing = _missing_arguments(problem, fields)
        except Exception as error:
            yield f"{error_words(error, path)} (for {dict(fields)})"
        else:
            yield from (f"{place}: {words} (for {dict(fields)})" for words in missing)


def _missing_arguments(problem: Problem, fields: Mapping[str, Any]) -> list[str]:
    """Arguments that no field, size or array gives; whatever of the spec computes is tried."""
    sizes = problem.derive(fields)
    problem.tells(sizes)
    problem.symbols(sizes)
    missing = []
    for contract in problem.contracts:
        given = {"seed", *sizes, *contract.arrays(sizes)}
        lacking = [name for name in contract.arguments if name not in given]
        if lacking and contract.call is None:
            missing.append(f"nothing gives {contract.function} its {', '.join(lacking)}")
    return missing

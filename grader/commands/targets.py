"""What a command line means by ``46``, ``46_vit_cls`` or ``problems/46_vit_cls.py``."""

from __future__ import annotations

import os
import re
from pathlib import Path

from grader import catalogue


class UsageError(Exception):
    """One line for the user; exit status 2."""


def complete_problem(incomplete: str) -> list[tuple[str, str]]:
    """What a shell may complete: the numbers with their titles."""
    return [
        (str(number), catalogue.problem(number).title)
        for number in catalogue.names()
        if str(number).startswith(incomplete)
    ]


def locate(target: str, number: int | None = None) -> tuple[Path, int]:
    """The file and the problem's number that a command line means.

    Raises:
      UsageError: there is no such problem or file.

    """
    path = Path(target)
    by_number = target.isdecimal() and number is None
    if (by_number or not os.path.exists(path)) and (named := named_problem(target)) is not None:
        path = shown_path(answer_path(named))
        number = named if number is None else number
    if os.path.isdir(path):
        raise UsageError(f"{path} is a folder; name one file, e.g. problems/46_vit_cls.py")
    if number is None:
        match = re.match(r"(\d+)", path.name)
        if match is None or int(match[1]) not in catalogue.names():
            raise UsageError(
                f"which problem is {path.name}? Say --problem NN ({catalogue.known()})"
            )
        number = int(match[1])
    if number not in catalogue.names():
        raise UsageError(f"there is no problem {number}; there are {catalogue.known()}")
    if not os.path.exists(path):  # unlike pathlib's, no error for a name that is too long
        instead = f"; type: python -m grader reset {number}" if _is_answer(path) else ""
        raise UsageError(f"there is no file {path}{instead}")
    if path.suffix.lower() == ".ipynb":
        _check_notebook(path, number)
    return path, number


def _check_notebook(path: Path, number: int) -> None:
    """Turn down a notebook that does not tell which cell is the answer."""
    from grader.engine.handed_in import NoAnswerCell, Unreadable, read_source

    try:
        read_source(path, number)
    except NoAnswerCell as error:
        raise UsageError(f"{path}: {error}") from None
    except Unreadable:  # the verdict says so
        pass


def problem_number(target: str) -> int:
    """The problem that a word or a path names; its file need not exist.

    Raises:
      UsageError: there is no such problem.

    """
    named = named_problem(target)
    if named is not None:
        return named
    match = re.match(r"(\d+)_", Path(target).name)
    if match is not None and int(match[1]) in catalogue.names():
        return int(match[1])
    raise UsageError(f"there is no problem '{target}'; there are {catalogue.known()}")


def named_problem(word: str) -> int | None:
    """``catalogue.number_of``, with its complaint in the form that the command line tells.

    Raises:
      UsageError: ``word`` is a number and no problem has it.

    """
    try:
        return catalogue.number_of(word)
    except catalogue.UnknownProblem as error:
        raise UsageError(str(error)) from None


def answer_path(number: int) -> Path:
    """Where the student's answer to a problem lies."""
    return catalogue.PROBLEMS / f"{number}_{catalogue.names()[number]}.py"


def shown_path(path: Path) -> Path:
    """``path`` as a person in the current folder would write it."""
    here = Path.cwd()
    return Path(os.path.relpath(path, here)) if path.is_relative_to(here) else path


def _is_answer(path: Path) -> bool:
    return Path(os.path.realpath(path)).parent == catalogue.PROBLEMS

"""Hints on the screen."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from grader.report.wrapping import print_indented
from grader.study.hints import Hint


def print_hints(
    number: int, hints: Sequence[Hint], console: Console, more: bool | None = None
) -> None:
    """Print hints; ``more``: whether another call shows another one (None: not asked)."""
    for hint in hints:
        about = f", on: {hint.about}" if hint.about else ""
        print_indented(console, Text(f"Hint {hint.place} of {hint.of}{about}", "bold cyan"), 0)
        print_indented(console, Text(hint.text), 2)
        console.print()
    for line in _closing(number, hints, more):
        print_indented(console, Text(line, "dim"), 0)


def _closing(number: int, hints: Sequence[Hint], more: bool | None) -> list[str]:
    if more is None:
        return [] if hints else [f"no hint was shown yet; type: python -m grader hint {number}"]
    if more:
        return [f"The same command shows one more: python -m grader hint {number}"]
    last = "That was the last one." if hints else "There is no further hint."
    return [
        last,
        f"Those shown so far:  python -m grader hint {number} --again",
        f"Which mistake it is: python -m grader {number}",
        f"The reference:       python -m grader solution {number} --give-up",
    ]

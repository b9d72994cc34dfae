"""One screen: what fits of a report, with the line that matters at its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from rich.console import Console
from rich.text import Text

from grader.problem import Problem
from grader.report.terminal import print_verdict
from grader.report.text import Signs
from grader.verdict import Check, Verdict

Print = Callable[[Console], None]


def lines_of(console: Console, show: Print) -> list[str]:
    """What ``show`` prints, as lines for this console."""
    with console.capture() as captured:
        show(console)
    return captured.get().strip("\n").split("\n")


def rows(line: str, console: Console) -> int:
    """How many rows of the terminal a line takes."""
    return max(1, -(-Text.from_ansi(line).cell_len // console.width))


def verdict_lines(verdict: Verdict, problem: Problem, console: Console, room: int) -> list[str]:
    """A verdict in at most ``room`` rows; the summary is always there."""
    lines: list[str] = []
    for told in (verdict, condensed(verdict), barest(verdict)):
        lines = lines_of(console, partial(print_verdict, told, problem))
        if sum(rows(line, console) for line in lines) <= room:
            return lines
    plain = [Text.from_ansi(line).plain.strip() for line in lines]
    summary = next((i for i, line in enumerate(reversed(plain)) if not line), 1)
    return cropped(lines, console, room, summary, f"python -m grader {problem.number}")


def cropped(lines: list[str], console: Console, room: int, keep: int, more: str) -> list[str]:
    """As many lines as have room, and the last ``keep`` in any case."""
    if sum(rows(line, console) for line in lines) <= room:
        return lines
    dots = "…" if Signs.for_encoding(console.encoding).passed == "✓" else "..."
    kept = [f"{dots} all of it: {more}", *lines[-keep:]] if keep else [f"{dots} {more}"]
    left = room - sum(rows(line, console) for line in kept)
    shown: list[str] = []
    for line in lines[: len(lines) - keep]:
        left -= rows(line, console)
        if left < 0:
            break
        shown.append(line)
    while shown and not Text.from_ansi(shown[-1]).plain.strip():
        shown.pop()
    return [*shown, *kept]


def barest(verdict: Verdict) -> Verdict:
    """What failed, where the two part, and which mistake it is; the score stays what it was."""
    brief = condensed(verdict)
    skipped = sum(check.weight for check in brief.checks if check.status == "skipped")
    checks = [
        replace(check, message="" if verdict.diagnoses else check.message)
        for check in brief.checks
        if check.status != "skipped"
    ]
    if checks:  # what was not run counts like what failed
        checks[-1] = replace(checks[-1], weight=checks[-1].weight + skipped)
    own = [stage for stage in verdict.stages if not stage.inside]
    end = next((i for i, stage in enumerate(own) if stage.parts), len(own))
    return replace(
        verdict,
        checks=tuple(checks) if not verdict.passed else brief.checks,
        stages=tuple(own[max(end - 1, 0) : end + 1]),
        nearest=(),
        counterexample=None,
        notes=(),
        printed="",
    )


def condensed(verdict: Verdict) -> Verdict:
    """The same verdict with the checks that passed, and those not run, told in one line each."""
    checks: list[Check] = []
    for status, words in (("passed", "passed"), ("skipped", "not run")):
        some = [check for check in verdict.checks if check.status == status]
        if some:
            weight = sum(check.weight for check in some)
            title = some[0].title if len(some) == 1 else f"{len(some)} checks {words}"
            message = some[0].message
            checks.append(replace(some[0], title=title, message=message, weight=weight))
    others = [check for check in verdict.checks if check.status not in ("passed", "skipped")]
    order = {"passed": 0, "skipped": 2}
    checks = sorted([*checks, *others], key=lambda check: order.get(check.status, 1))
    return replace(verdict, checks=tuple(checks))

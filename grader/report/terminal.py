"""The verdict for a terminal of any width, with or without colours."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import TextIO

from rich.console import Console
from rich.text import Text

from grader.problem import Problem
from grader.report.text import (
    Signs,
    every_stage_words,
    functions_that_part,
    harmless,
    nearest_words,
    on_one_line,
)
from grader.report.wrapping import print_hanging, print_indented
from grader.verdict import Check, Counterexample, Nearest, StageLine, Status, Verdict

_STYLES: dict[Status, str] = {
    "passed": "green",
    "failed": "bold red",
    "skipped": "dim",
    "error": "bold yellow",
}
_PRINTED_LINES = 12


class _Console(Console):
    """A console that leaves it to the command line what happens when nobody reads on."""

    def on_broken_pipe(self) -> None:
        """Called where the ``BrokenPipeError`` is handled."""
        raise BrokenPipeError


def console_for(stream: TextIO | None = None) -> Console:
    """A console on ``stream``: plain when it is no terminal or ``NO_COLOR`` is set."""
    stream = stream or sys.stdout
    if os.environ.get("COLUMNS") == "0":  # from a shell that does not know; Rich would obey
        del os.environ["COLUMNS"]
    width = None if stream.isatty() or "COLUMNS" in os.environ else 100
    return _Console(file=stream, highlight=False, soft_wrap=False, width=width, emoji=False)


def print_verdict(verdict: Verdict, problem: Problem, console: Console) -> None:
    """Print the whole report."""
    signs = Signs.for_encoding(console.encoding)
    console.print()
    heading = Text(f"{problem.number} {signs.dot} {problem.title}", "bold")
    console.print(heading)
    print_hanging(console, Text(on_one_line(verdict.file), "dim"))
    console.print()
    for check in verdict.checks:
        _print_check(check, console, signs)
    console.print()
    _print_stages(verdict, console, signs)
    for diagnosis in verdict.diagnoses:
        _print_block(console, "What", Text(diagnosis.title, "bold"), Text(diagnosis.advice))
    if verdict.searched and not verdict.diagnoses:
        failed = {c.id.rsplit(".", 1)[-1] for c in verdict.checks if c.status == "failed"}
        what = "creates these parameters" if failed == {"parameters"} else "gives these numbers"
        _print_block(console, "What", Text(f"none of the known mistakes {what}"))
    if verdict.counterexample is not None:
        _print_counterexample(verdict.counterexample, console)
    for label, told in (("Remark", verdict.remarks), ("Note", verdict.notes)):
        if told:
            _print_block(console, label, *(Text(harmless(line)) for line in told))
    if verdict.printed.strip():
        lines = harmless(verdict.printed).strip().splitlines()
        shown = [Text(line) for line in lines[:_PRINTED_LINES]]
        more = len(lines) - len(shown)
        if more > 0:
            shown.append(
                Text(
                    f"… and {more} more lines" if signs.passed == "✓" else f"and {more} more lines",
                    "dim",
                )
            )
        _print_block(console, "Printed", *shown)
    _print_end(verdict, console, signs)


def _print_check(check: Check, console: Console, signs: Signs) -> None:
    sign = {"passed": signs.passed, "failed": signs.failed, "error": "!"}.get(
        check.status, signs.skipped
    )
    line = Text(check.title, "dim" if check.status == "skipped" else "")
    if check.status == "skipped":
        line.append(f"  ({check.message})", "dim")
    first, *others = line.wrap(console, max(console.width - 4, 20))
    first.rstrip()
    console.print(Text(f"  {sign} ", _STYLES[check.status]).append_text(first), soft_wrap=True)
    for other in others:
        print_indented(console, other, 4)
    if check.message and check.status in ("failed", "error"):
        for text in harmless(check.message).splitlines():
            print_indented(console, Text(text), 6)


def _print_block(console: Console, label: str, *parts: Text) -> None:
    console.print(Text(label, "bold cyan"))
    for part in parts:
        print_indented(console, part, 2)
    console.print()


def _print_stages(verdict: Verdict, console: Console, signs: Signs) -> None:
    functions = functions_that_part(verdict)
    for function in functions:
        mine = [stage for stage in verdict.stages if stage.function == function]
        stages = [stage for stage in mine if not stage.inside]
        steps = [stage for stage in mine if stage.inside]
        end = next((i for i, stage in enumerate(stages) if stage.parts), None)
        parts = [_chain(stages if end is None else stages[: end + 1], signs)] if stages else []
        if stages and end is None:
            parts.append(Text(every_stage_words(stages)))
        elif steps and not all(step.found for step in steps):
            first = next(i for i, step in enumerate(steps) if not step.found)
            parts.append(Text("on the way there: ").append_text(_chain(steps[: first + 1], signs)))
        if end is not None:
            parts.append(Text("from here on they differ"))
        for value in verdict.nearest:
            if value.function == function:
                parts += _nearest(value)
        _print_block(console, f"Where, in {function}" if len(functions) > 1 else "Where", *parts)


def _chain(stages: list[StageLine], signs: Signs) -> Text:
    """The stages up to the one where the two part; one passed by counts as found."""
    line = Text()
    for i, stage in enumerate(stages):
        if i:
            line.append(f" {signs.arrow} ")
        good = stage.found or (i + 1 < len(stages)) or not (stage.parts or stage.inside)
        sign = signs.passed if good else signs.failed
        line.append(f"{stage.title} {sign}", "green" if good else "bold red")
    return line


def _nearest(value: Nearest) -> list[Text]:
    """What stands in place of the stage that did not come up, with its line."""
    words = nearest_words(value)
    if not words:
        return []
    return [Text(words), *([Text(f"  {harmless(value.code)}", "dim")] if value.code else [])]


def _print_counterexample(example: Counterexample, console: Console) -> None:
    sizes = ", ".join(f"{k} {v}" for k, v in example.case.items())
    rows = [Text(sizes)]
    rows += [Text(f"{name} {tuple(shape)}") for name, shape in example.shapes.items()]
    rows.append(Text(f"expected  {_short(example.expected)}"))
    rows.append(Text(f"actual    {_short(example.actual)}"))
    if example.largest_difference is not None:
        at = f" at {example.index}" if example.index else ""
        rows.append(Text(f"largest difference {example.largest_difference:.4g}{at}"))
    elif example.index:
        rows.append(Text(f"the first value that is not finite is at {example.index}"))
    _print_block(console, "Smallest failing case", *rows)
    console.print(Text("See it with", "bold cyan"))
    console.print(Text("  " + on_one_line(example.command)), soft_wrap=True)
    console.print()


def _short(numbers: list[object], most: int = 8) -> str:
    shown = ", ".join(f"{x:.5g}" if isinstance(x, float) else str(x) for x in numbers[:most])
    return f"[{shown}{', ...' if len(numbers) > most else ''}]"


def _print_end(verdict: Verdict, console: Console, signs: Signs) -> None:
    parts = list(_summary(verdict))
    text = Text(
        "Passed" if verdict.passed else "Not passed", "bold green" if verdict.passed else "bold red"
    )
    for part in parts:
        text.append(f" {signs.dot} {part}", "not bold")
    print_indented(console, text, 0)


def _summary(verdict: Verdict) -> Iterator[str]:
    yield f"score {verdict.score:.2f}"
    if verdict.cases:
        yield f"{verdict.cases} cases over {verdict.shapes} shapes"
    yield f"{verdict.seconds:.1f} s"
    yield f"seed {verdict.seed}"

"""``grade`` and ``list``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grader import catalogue
from grader.commands.targets import UsageError, locate

if TYPE_CHECKING:
    from grader.engine.judge import Order


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command(help="Grade one answer (a problem's number or a file).")(grade)
    app.command("list", help="List the problems.")(list_problems)


def grade(
    target: Annotated[str, typer.Argument(help="A problem's number, or a file.")],
    problem: Annotated[
        int | None, typer.Option(help="The problem, for a file with another name.")
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=catalogue.MOST_SEED, help="Draw other cases.")
    ] = 0,
    cases: Annotated[
        int, typer.Option(min=1, max=3000, help="At least so many cases, and 30.")
    ] = 30,
    timeout: Annotated[
        float, typer.Option(min=1, max=3600, help="Seconds that the answer has.")
    ] = 20.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
    case: Annotated[str | None, typer.Option(help="Show one case (JSON), stage by stage.")] = None,
) -> None:
    """Grade one answer."""
    path, number = locate(target, problem)
    order = prepared_order(path, number, seed, cases, timeout)
    if case is not None and as_json:
        raise UsageError("--case shows one case as text; leave out --json")
    if case is not None:
        _show_case(order, case)
        return
    from grader.engine.judge import grade as judge
    from grader.study import progress

    recorded = progress.is_answer(path, number)
    before = progress.text_of(path) if recorded else None
    verdict = judge(order)
    if recorded:
        progress.record_verdict(number, verdict, before if verdict.passed else None)
    if as_json:
        print(json.dumps(verdict.as_json(), ensure_ascii=True, indent=2))
    else:
        from grader.report.terminal import console_for, print_verdict

        console = console_for()
        print_verdict(verdict, order.problem, console)
        if recorded and verdict.passed:
            from grader.report.dashboard import print_next
            from grader.study.standing import next_to_do, standings

            console.print()
            print_next(next_to_do(standings(progress.read())), console)
        elif recorded:
            console.print(f"\nA hint: python -m grader hint {number}", soft_wrap=True)
    raise typer.Exit(0 if verdict.passed else 1)


def list_problems() -> None:
    """All problems, one a line."""
    for number in catalogue.names():
        print(f"{number}  {catalogue.problem(number).title}")
    print("\nFill in problems/NN_name.py, then: python -m grader NN")


def prepared_order(
    path: Path, number: int, seed: int = 0, cases: int = 30, timeout: float = 20.0
) -> Order:
    """What to grade, with the settings that must stand before JAX is imported.

    Raises:
      UsageError: this version of JAX or Flax cannot be graded with.

    """
    os.environ["JAX_PLATFORMS"] = "cpu"  # the grader needs no device
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from grader.engine.judge import Order
    from grader.engine.lift import check_hooks
    from grader.study import progress

    unfit = check_hooks()
    if unfit is not None:
        raise UsageError(unfit)
    passed = progress.passed_texts(progress.read())
    return Order(catalogue.problem(number), path, seed, cases, timeout, has_passed=passed)


def _show_case(order: Order, text: str) -> None:
    from grader.engine.handed_in import Unreadable
    from grader.engine.one_case import BadCase, view_case
    from grader.report.case import print_case
    from grader.report.terminal import console_for

    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        raise UsageError(
            "--case is a JSON object in quotes, as a report prints it below 'See it with'"
        ) from None
    try:
        view = view_case(order, told)
    except (ValueError, BadCase, Unreadable) as error:
        raise UsageError(f"--case: {error}") from None
    print_case(view, console_for())

"""What there is to look at: ``show``, ``solution``, ``report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from grader import catalogue
from grader.commands.desk import Problem
from grader.commands.targets import UsageError, answer_path, locate, problem_number


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command(help="The page of a problem: what to build, and why.")(show)
    app.command(help="The reference beside your answer, once yours has passed.")(solution)
    app.command(help="The verdict as one HTML page.")(report)


def show(problem: Problem) -> None:
    """The page of a problem."""
    from grader.report.page import print_page
    from grader.report.terminal import console_for
    from grader.study.stubs import page_for

    print_page(page_for(problem_number(problem)), console_for())


def solution(
    problem: Problem,
    give_up: Annotated[
        bool, typer.Option("--give-up", help="Also before it has passed; the desk remembers.")
    ] = False,
) -> None:
    """The reference, beside the student's own answer."""
    from dataclasses import replace

    from grader.report.side_by_side import print_side_by_side
    from grader.report.terminal import console_for
    from grader.study import progress

    number = problem_number(problem)
    reference = catalogue.solution_text(number)
    reached = progress.read().get(number, progress.Reached())
    if not reached.passed:
        if not (give_up or reached.helped):
            raise UsageError(
                f"problem {number} has not passed yet; to see its solution all the same, type: "
                f"python -m grader solution {number} --give-up"
            )
        try:
            progress.update(number, lambda now: replace(now, helped=now.helped or not now.passed))
        except progress.Unsaved as unsaved:
            progress.to_stderr(f"the desk will not remember this: {unsaved}")
    own = progress.text_of(answer_path(number))
    print_side_by_side(own, reference, console_for())


def report(
    target: Annotated[str, typer.Argument(help="A problem's number, or a file.")],
    html: Annotated[Path, typer.Option("--html", help="The page to write.", show_default=False)],
    problem: Annotated[
        int | None, typer.Option(help="The problem, for a file with another name.")
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=catalogue.MOST_SEED, help="Draw other cases.")
    ] = 0,
    timeout: Annotated[
        float, typer.Option(min=1, max=3600, help="Seconds that the answer has.")
    ] = 20.0,
) -> None:
    """Write the verdict as one page."""
    from grader.report.html_page import check_destination, write_page
    from grader.report.text import on_one_line

    path, number = locate(target, problem)
    try:
        check_destination(html)
    except OSError as error:
        raise UsageError(f"{html} cannot be written: {error.strerror or error}") from None
    from grader.commands.grading import prepared_order
    from grader.engine.illustrate import illustrate
    from grader.engine.judge import grade
    from grader.study import progress

    order = prepared_order(path, number, seed, timeout=timeout)
    before = progress.text_of(path)
    verdict = grade(order)
    if progress.is_answer(path, number):
        progress.record_verdict(number, verdict, before if verdict.passed else None)
    try:
        write_page(html, verdict, order.problem, illustrate(order, verdict))
    except OSError as error:
        raise UsageError(f"{html} cannot be written: {error.strerror or error}") from None
    word = "passed" if verdict.passed else "not passed"
    print(f"wrote {on_one_line(str(html))}: {order.problem.name} {word}, score {verdict.score:.2f}")

"""What a student types all day: ``desk``, ``watch``, ``hint``, ``open``, ``reset``."""

from __future__ import annotations

from typing import Annotated

import typer

from grader import catalogue
from grader.commands.targets import (
    UsageError,
    answer_path,
    complete_problem,
    problem_number,
    shown_path,
)

Problem = Annotated[
    str,
    typer.Argument(
        help="A problem's number, e.g. 46.", show_default=False, autocompletion=complete_problem
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command(help="Where you stand, and what is next (also without any command).")(desk)
    app.command(help="Grade again at each save.")(watch)
    app.command(help="One hint more.")(hint)
    app.command("open", help="Open the answer in your $EDITOR.")(open_answer)
    app.command(help="Begin anew with the stub; your file is kept beside it.")(reset)


def desk() -> None:
    """The dashboard."""
    from grader.report.dashboard import print_dashboard
    from grader.report.terminal import console_for
    from grader.study import progress, standing

    print_dashboard(standing.standings(progress.read()), console_for())


def watch(
    problem: Annotated[
        str | None,
        typer.Argument(
            help="A problem's number; without it, whichever you save.",
            autocompletion=complete_problem,
        ),
    ] = None,
) -> None:
    """Grade at each save."""
    import sys

    number = None if problem is None else problem_number(problem)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("watch needs a terminal; elsewhere type: python -m grader NN")
    from grader.study.watch import Watch

    try:
        status = Watch(number).run()
    except RuntimeError as error:
        raise UsageError(f"{error}; type: python -m grader NN") from None
    raise typer.Exit(status)


def hint(
    problem: Problem,
    again: Annotated[bool, typer.Option("--again", help="Those shown so far, no new one.")] = False,
) -> None:
    """One hint more."""
    from grader.report.hints import print_hints
    from grader.report.terminal import console_for
    from grader.study import hints, progress

    number = problem_number(problem)
    known = progress.read().get(number, progress.Reached())
    source = hints.sources(catalogue.problem(number), known)
    if again:
        print_hints(number, source.shown(known), console_for())
        return
    found, after = source.one_more(known)
    if found is not None:
        try:
            progress.update(number, lambda now: source.one_more(now)[1])
        except progress.Unsaved as unsaved:
            progress.to_stderr(f"the next call shows this hint again: {unsaved}")
            after = known
    more = after != known and source.one_more(after)[0] is not None
    print_hints(number, [found] if found else [], console_for(), more=more)


def open_answer(problem: Problem) -> None:
    """Open the answer in an editor."""
    from grader.study.editor import NoEditor, edit

    path = answer_path(problem_number(problem))
    if not path.exists():
        number = problem_number(problem)
        raise UsageError(f"there is no {shown_path(path)}; type: python -m grader reset {number}")
    try:
        raise typer.Exit(edit(shown_path(path)))
    except NoEditor as error:
        raise UsageError(str(error)) from None


def reset(problem: Problem) -> None:
    """Put the stub back."""
    from grader.study.restart import put_back
    from grader.study.stubs import stub_for

    number = problem_number(problem)
    path = answer_path(number)
    missing = not path.exists()
    try:
        kept = put_back(path, stub_for(number))
    except OSError as error:
        raise UsageError(f"nothing was reset: {error.strerror or error}") from None
    shown = shown_path(path)
    if kept is not None:
        print(f"{shown} is the stub again; your file is {shown_path(kept)}")
    else:
        print(f"{shown} is there again" if missing else f"{shown} is the stub already")

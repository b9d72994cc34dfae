"""The commands of ``python -m grader``.  Thin: each calls the engine and a report."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from grader import __version__, catalogue
from grader.catalogue import UnknownProblem
from grader.commands import labs, training

EXAMPLES = """\
Examples:

  python -m grader 46                          grade problems/46_vit_cls.py

  python -m grader problems/46_vit_cls.py      the same

  python -m grader answer.py --problem 46      a file with another name

  python -m grader 46 --json                   the verdict as JSON

  python -m grader 46 --seed 7 --cases 60      other and more cases

  python -m grader list                        all problems
"""


app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    no_args_is_help=False,
    help="Grade answers to the Vision Transformer problems.",
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class UsageError(Exception):
    """One line for the user; exit status 2."""


@app.command(help="Grade one answer (a problem's number or a file).")
def grade(
    target: Annotated[str, typer.Argument(help="A problem's number, or a file.")],
    problem: Annotated[
        int | None, typer.Option(help="The problem, for a file with another name.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Draw other cases.")] = 0,
    cases: Annotated[int, typer.Option(min=1, max=3000, help="At least so many cases.")] = 30,
    timeout: Annotated[
        float, typer.Option(min=1, max=3600, help="Seconds that the answer has.")
    ] = 20.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
    case: Annotated[str | None, typer.Option(help="Show one case (JSON), stage by stage.")] = None,
) -> None:
    """Grade one answer."""
    path, number = locate(target, problem)
    _prepare_jax()
    from grader.engine.judge import Order
    from grader.engine.lift import check_hooks

    unfit = check_hooks()
    if unfit is not None:
        raise UsageError(unfit)

    from grader.study import progress

    reached = progress.read()

    def has_passed(number: int, source: str) -> bool:
        known = reached.get(number)
        return known is not None and known.passed_text == progress.fingerprint(source)

    problem_asked = catalogue.problem(number)
    order = Order(problem_asked, path, seed, cases, timeout, has_passed=has_passed)
    if case is not None:
        _show_case(order, case)
        return
    from grader.engine.judge import grade as judge

    verdict = judge(order)
    if path.resolve().parent == catalogue.PROBLEMS:
        text = path.read_text("utf-8") if verdict.passed else None
        known = None if text is None else progress.fingerprint(text)
        progress.record(number, verdict.score, known)
    if as_json:
        print(json.dumps(verdict.as_json(), ensure_ascii=True, indent=2))
    else:
        from grader.report.terminal import console_for, print_verdict

        print_verdict(verdict, order.problem, console_for())
    raise typer.Exit(0 if verdict.passed else 1)


@app.command("list", help="List the problems.")
def list_problems() -> None:
    """All problems, one a line."""
    for number in catalogue.names():
        print(f"{number}  {catalogue.problem(number).title}")
    print("\nFill in problems/NN_name.py, then: python -m grader NN")


training.register(app)
labs.register(app)


def locate(target: str, number: int | None) -> tuple[Path, int]:
    """The file and the problem's number that a command line means.

    Raises:
      UsageError: there is no such problem or file.

    """
    if re.fullmatch(r"\d+", target) and not Path(target).exists():
        wanted = int(target)
        if wanted not in catalogue.names():
            raise UsageError(str(UnknownProblem(_no_problem(wanted))))
        path = catalogue.PROBLEMS / f"{wanted}_{catalogue.names()[wanted]}.py"
        number = wanted if number is None else number
        path = Path(os.path.relpath(path)) if path.is_relative_to(Path.cwd()) else path
    else:
        path = Path(target)
    if path.is_dir():
        raise UsageError(f"{path} is a folder; name one file, e.g. problems/46_vit_cls.py")
    if number is None:
        match = re.match(r"(\d+)", path.name)
        if match is None or int(match[1]) not in catalogue.names():
            raise UsageError(f"which problem is {path.name}? Say --problem NN ({_known()})")
        number = int(match[1])
    if number not in catalogue.names():
        raise UsageError(_no_problem(number))
    if not path.exists():
        raise UsageError(f"there is no file {path}")
    return path, number


def _no_problem(number: int) -> str:
    return f"there is no problem {number}; there are {_known()}"


def _known() -> str:
    return ", ".join(map(str, catalogue.names()))


def _show_case(order: object, text: str) -> None:
    from grader.engine.judge import Order, Unreadable
    from grader.engine.one_case import BadCase, view_case
    from grader.report.case import print_case
    from grader.report.terminal import console_for

    assert isinstance(order, Order)
    try:
        view = view_case(order, json.loads(text))
    except (json.JSONDecodeError, BadCase, Unreadable) as error:
        raise UsageError(f"--case: {error}") from None
    print_case(view, console_for())


def _prepare_jax() -> None:
    """Settings that must stand before JAX is imported: the grader needs no device."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main(arguments: list[str] | None = None) -> None:
    """The entry point: ``grade`` is what happens when no other command is named."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    commands = {
        command.name or command.callback.__name__
        for command in app.registered_commands
        if command.callback
    }
    if words == ["--version"]:
        print(f"vit-problems {__version__}")
        return
    if not words:
        words = ["list"]
    elif words[0] not in commands and words[0] not in ("-h", "--help"):
        words = ["grade", *words]
    try:
        sys.exit(app(words, prog_name="python -m grader", standalone_mode=False))
    except UsageError as error:
        told = str(error)
    except typer.Abort:
        told = "stopped"
    except typer.TyperException as error:  # whatever Typer finds wrong with the words
        told = str(getattr(error, "format_message", error.__str__)())
    print(f"grader: {told} (python -m grader --help shows what there is)", file=sys.stderr)
    sys.exit(2)

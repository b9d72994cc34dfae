"""``python -m grader``: finds the command that is meant.  The commands are in ``commands/``."""

from __future__ import annotations

import contextlib
import difflib
import errno
import importlib
import os
import re
import signal
import sys
from functools import cache
from typing import Any, NoReturn

import typer
import typer.core

from grader import __version__
from grader.catalogue import BrokenProblem
from grader.commands.targets import UsageError, complete_problem, locate, named_problem
from grader.interrupted import INTERRUPTED, clearing_away, interruptible, leave_at_once
from grader.report.streams import fit_streams
from grader.report.text import on_one_line

__all__ = ["UsageError", "application", "locate", "main"]

GROUPS = ("grading", "desk", "looking", "training", "trained", "labs", "shell")
"""Modules of ``grader.commands``, in the order of ``--help``; each has ``register(app)``."""

TRAINING = ("train", "distill", "registers")
"""Commands that train."""

EXAMPLES = """\
Examples:

  python -m grader                             where you stand, what is next

  python -m grader 46                          grade problems/46_vit_cls.py

  python -m grader answer.py --problem 46      a file with another name

  python -m grader 46 --seed 7 --cases 60      other and more cases

  python -m grader 46 --json                   the verdict as JSON

  python -m grader show 46                     the page to read

  python -m grader watch 46                    grade again at each save

  python -m grader hint 46                     one hint more

  python -m grader report 46 --html page.html  the verdict as a page
"""


PROGRAM = "python -m grader"
COMPLETING = "_GRADER_COMPLETE"
"""Set by the shell while it asks what could come next."""


class _WithProblems(typer.core.TyperGroup):
    """Commands, and problems: a number alone means to grade it."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; what is wrong with a problem itself is a line for its author."""
        try:
            return super().invoke(ctx)
        except BrokenProblem as error:
            print(f"grader: {error}", file=sys.stderr)
            raise typer.Exit(2) from None

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """What the first word could become."""
        item = type(super().shell_complete(ctx, "")[0])
        problems = [item(number, help=title) for number, title in complete_problem(incomplete)]
        return [*super().shell_complete(ctx, incomplete), *problems]


@cache
def application(completing: bool = False) -> typer.Typer:
    """The whole command line; ``completing``: able to answer the shell."""
    app = typer.Typer(
        cls=_WithProblems,
        add_completion=completing,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        no_args_is_help=False,
        help="Grade answers to the Vision Transformer problems.",
        epilog=EXAMPLES,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for name in GROUPS:
        importlib.import_module(f"grader.commands.{name}").register(app)
    return app


def command_names() -> list[str]:
    """The names of all commands."""
    return [
        command.name or command.callback.__name__
        for command in application().registered_commands
        if command.callback
    ]


def main(arguments: list[str] | None = None) -> None:
    """The entry point: ``grade`` is what happens when no other command is named."""
    if COMPLETING in os.environ:
        answer_the_shell()
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words == ["--version"]:
        print(f"vit-problems {__version__}")
        return
    fit_streams()
    if arguments is None and words[:1] != ["train"]:
        interruptible()
        clearing_away()
    trains = arguments is None and words[:1] and words[0] in TRAINING
    if trains:
        with_huge_pages()
    try:
        code = _run(words)
        sys.stdout.flush()
        sys.exit(code)
    except UsageError as error:
        print(f"grader: {on_one_line(str(error))}", file=sys.stderr)
        sys.exit(2)
    except (typer.Abort, KeyboardInterrupt):
        if trains:
            leave_at_once("grader: stopped; what was saved before is still there")
        print("grader: stopped", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # `… | head`: the reader has seen enough
        _say_no_more()
        sys.exit(128 + signal.SIGPIPE)
    except OSError as error:
        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise
        _say_no_more()
        print(f"grader: the output cannot be written: {error.strerror}", file=sys.stderr)
        sys.exit(2)
    except typer.TyperException as error:  # whatever Typer finds wrong with the words
        told = str(getattr(error, "format_message", error.__str__)()).replace("Value error, ", "")
        if words[:1] == ["train"] and "No such option" in told:
            told += _as_a_field(str(getattr(error, "option_name", "")))
    known = [word for word in words[:1] if word in command_names()]
    print(f"grader: {on_one_line(told)} ({_help_of(*known)})", file=sys.stderr)
    sys.exit(2)


def _help_of(*command: str) -> str:
    return " ".join([PROGRAM, *command, "--help"]) + " shows what there is"


def _run(words: list[str]) -> Any:
    """Run the command that is meant; gives its exit status.

    Raises:
      KeyboardInterrupt: it was stopped; Typer tells that as an exit status.

    """
    code = application()(_completed(words), prog_name=PROGRAM, standalone_mode=False)
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    return code


def _as_a_field(option: str) -> str:
    """How to set what is no option of ``train`` but a field of its recipe."""
    from dataclasses import fields

    from solutions.training.recipe import Recipe

    name = option.lstrip("-").replace("-", "_")
    return f"; say --set {name}=…" if name in [field.name for field in fields(Recipe)] else ""


def _say_no_more() -> None:
    """What is still to be printed would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def with_huge_pages() -> None:
    """Start this process anew, once, with memory in pages of 2 MB where Linux gives them if asked.

    XLA asks the system for its working memory, a gigabyte say, each time that it runs a program;
    in pages of 4 KB that took a quarter of a call of one step.  glibc is told so by its
    environment only (GNU C Library manual, "Memory Allocation Tunables").
    """
    asked = "glibc.malloc.hugetlb=1"
    known = os.environ.get("GLIBC_TUNABLES", "")
    if sys.platform != "linux" or "glibc.malloc.hugetlb" in known or not sys.orig_argv:
        return
    os.environ["GLIBC_TUNABLES"] = f"{known}:{asked}" if known else asked
    with contextlib.suppress(OSError):
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 (itself)


def answer_the_shell() -> NoReturn:
    """Do what ``COMPLETING`` asks: print the script, or what could come next."""
    sys.exit(application(completing=True)(prog_name="grader", complete_var=COMPLETING))


def _completed(words: list[str]) -> list[str]:
    """The words with the command that they leave out.

    Raises:
      UsageError: the first word is neither a command, a problem nor a file.

    """
    if not words:
        return ["desk"]
    first, commands = words[0], command_names()
    if first in (*commands, "-h", "--help"):
        return words
    if _could_be_a_target(first):
        return ["grade", *words]
    close = difflib.get_close_matches(first, commands, 1)
    if close:
        meant = " ".join([PROGRAM, close[0], *words[1:]])
        raise UsageError(f"there is no command '{first}'; did you mean: {meant}")
    raise UsageError(f"there is no command and no file '{first}' ({_help_of()})")


def _could_be_a_target(word: str) -> bool:
    return (
        word.startswith("-")
        or bool(re.search(r"[./\\\d]", word))
        or os.path.exists(word)
        or named_problem(word) is not None
    )

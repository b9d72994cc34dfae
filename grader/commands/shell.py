"""``completion``: let the shell complete commands and problems."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated

import typer


class Shell(StrEnum):
    """A shell that there is a script for."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command(help="A script that lets your shell complete `grader`.")(completion)


def completion(shell: Annotated[Shell, typer.Argument(help="The shell.")]) -> None:
    """Print the script; ``source <(grader completion bash)`` uses it at once."""
    from grader.cli import COMPLETING, answer_the_shell

    os.environ[COMPLETING] = f"source_{shell.value}"
    answer_the_shell()

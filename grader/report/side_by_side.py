"""Two answers beside each other; below each other where the terminal is narrow."""

from __future__ import annotations

import ast

from rich.console import Console
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from grader.report.streams import plainly
from grader.report.text import Signs, harmless

_WIDE_ENOUGH = 110


def print_side_by_side(own: str | None, reference: str, console: Console) -> None:
    """Print the student's own answer (None: there is none) and the reference, without pages."""
    ascii_only = Signs.for_encoding(console.encoding).passed != "✓"
    left, right = Text("Yours", "bold"), Text("The reference", "bold")
    theirs = _code(reference, ascii_only)
    mine = _code(own, ascii_only) if own else Text("There is no answer of yours.", "dim")
    if console.width >= _WIDE_ENOUGH:
        table = Table.grid(expand=True, padding=(0, 3, 0, 0))
        table.add_column(ratio=1)
        table.add_column(ratio=1)
        table.add_row(left, right)
        table.add_row(mine, theirs)
        console.print(table)
    else:
        for heading, code in ((left, mine), (right, theirs)):
            console.print(heading)
            console.print(Padding(code, (1, 0)))


def _code(source: str, ascii_only: bool) -> Syntax:
    text = harmless(without_page(source))
    return Syntax(
        plainly(text) if ascii_only else text,
        "python",
        theme="ansi_dark",
        word_wrap=True,
        background_color="default",
    )


def without_page(source: str) -> str:
    """The code below the docstring that a file opens with; the file itself if it is no Python."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return source
    if ast.get_docstring(tree) is None:
        return source
    return "\n".join(source.splitlines()[tree.body[0].end_lineno :]).strip() + "\n"

"""Text wrapped to the width of a console."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

_HANGING = 4


def print_indented(console: Console, text: Text, indent: int) -> None:
    """Wrapped to the console's width, every line indented, none padded."""
    for line in text.wrap(console, max(console.width - indent, 20)):
        line.rstrip()
        console.print(Text(" " * indent).append_text(line), soft_wrap=True)


def print_hanging(console: Console, text: Text) -> None:
    """Wrapped, all lines but the first indented: none of a long name looks like a line of ours."""
    first, *rest = text.wrap(console, max(console.width - _HANGING, 20))
    first.rstrip()
    console.print(first, soft_wrap=True)
    for line in rest:
        print_indented(console, line, _HANGING)

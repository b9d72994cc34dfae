"""Text wrapped to the width of a console."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text


def print_indented(console: Console, text: Text, indent: int) -> None:
    """Wrapped to the console's width, every line indented, none padded."""
    for line in text.wrap(console, max(console.width - indent, 20)):
        line.rstrip()
        console.print(Text(" " * indent).append_text(line), soft_wrap=True)

"""A problem's page, from the Markdown of its docstring to a terminal of any width."""

from __future__ import annotations

import re
from typing import ClassVar

from rich.console import Console, Group, RenderableType
from rich.markdown import Heading, Markdown
from rich.padding import Padding
from rich.text import Text

from grader.report.streams import plainly
from grader.report.text import Signs

_WIDEST = 84


class _LeftHeading(Heading):
    """A heading at the left margin: pages are read from there."""

    def __rich_console__(self, console: Console, options: object) -> object:  # type: ignore[override]
        self.text.justify = "left"
        self.text.stylize("bold")
        yield self.text


class _Page(Markdown):
    elements: ClassVar = {**Markdown.elements, "heading_open": _LeftHeading}


def print_page(page: str, console: Console) -> None:
    """Print the Markdown of a page; tables in indented blocks are folded on narrow terminals."""
    ascii_only = Signs.for_encoding(console.encoding).passed != "✓"
    text = plainly(page) if ascii_only else page
    width = min(console.width, _WIDEST)
    title, _, rest = text.partition("\n")
    console.print()
    console.print(Text(title.rstrip("."), "bold"), width=width)
    console.print()
    console.print(Group(*_parts(rest.lstrip(), width)), width=width)


def _parts(text: str, width: int) -> list[RenderableType]:
    """Prose as Markdown; indented blocks as they stand, for their columns carry meaning."""
    parts: list[RenderableType] = []
    for block in re.split(r"((?:(?<=\n\n) {4}[^\n]*\n(?:(?: {4}[^\n]*)?\n)*))", text):
        if block.startswith("    "):
            lines = [line[4:] for line in block.rstrip().splitlines()]
            shown = Text("\n".join(folded(lines, width - 4)), "cyan")
            parts += [Padding(shown, (0, 0, 0, 4), expand=False), Text()]
        elif block.strip():
            parts += [_Page(block, hyperlinks=False), Text()]
    return parts


def folded(lines: list[str], width: int) -> list[str]:
    """Lines of two columns, the second one put below the first where they are too wide."""
    if all(len(line) <= width for line in lines):
        return lines
    result: list[str] = []
    for line in lines:
        first, *others = re.split(r"\s{2,}(?=\S)", line.rstrip())
        tight = "  ".join([first, *others])
        result += [tight] if len(tight) <= width else [first, *("    " + o for o in others)]
    return result

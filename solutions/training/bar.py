"""The progress bar of a run: as many words as the terminal has room for, the time left always."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

_NARROW, _WIDE = 5, 20
"""Cells of the bar itself: with less, words are left out for it; with less, they are shortened."""


@dataclass(frozen=True)
class Part:
    """Something to tell beside the bar.

    Attributes:
      rank: its importance, the most important being 0; what has no room goes by it.
      words: where there is room.
      short: where there is not.

    """

    rank: int
    words: str
    short: str


def progress_bar(console: Console) -> Progress:
    """A bar whose tasks have the fields ``epoch`` and ``parts``, the parts as they are shown."""
    epoch = TextColumn("epoch {task.fields[epoch]}")
    left = TimeRemainingColumn(compact=True)
    words = _Words(console, (epoch, left))
    return Progress(
        epoch, BarColumn(bar_width=None), words, left, console=console, transient=True, expand=True
    )


class _Words(ProgressColumn):
    """The parts that fit into what the terminal, as wide as it is now, leaves beside ``others``."""

    def __init__(
        self, console: Console, others: Sequence[TextColumn | TimeRemainingColumn]
    ) -> None:
        super().__init__(Column(no_wrap=True))
        self._console, self._others = console, others

    def render(self, task: Task) -> Text:
        """The words, a space between the columns being taken off their room."""
        taken = sum(column.render(task).cell_len for column in self._others)
        room = self._console.width - taken - len(self._others) - 1
        return Text(fitted(task.fields["parts"], room))


def fitted(parts: Sequence[Part], room: int) -> str:
    """All parts in full; else, in short, those that fit into ``room`` cells and leave a bar."""
    whole = "  ".join(part.words for part in parts)
    if len(whole) <= room - _WIDE:
        return whole
    shown: list[Part] = []
    for part in sorted(parts, key=lambda part: part.rank):
        if len(_joined([*shown, part])) <= room - _NARROW:
            shown.append(part)
    return _joined([part for part in parts if part in shown])


def _joined(parts: Sequence[Part]) -> str:
    return " ".join(part.short for part in parts)

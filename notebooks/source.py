"""From a source, which is Markdown, to the cells of a notebook.

A block fenced as ``python`` is a code cell, the text between two of them a Markdown cell; other
fences are part of the text.  ``{took}`` in the text becomes the time that running took.  Behind
the first text comes the cell that installs the package where it is missing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat

from grader.study import problem_notebooks

FOLDER = Path(__file__).parent
SOURCES = FOLDER / "sources"
TIME = "{took}"


class BadSource(ValueError):
    """A source that is no notebook; the message says why."""


def names() -> list[str]:
    """All sources, in order: ``00_tour``, …"""
    return sorted(path.stem for path in SOURCES.glob("*.md"))


def notebook_of(text: str, name: str, seconds: float) -> Any:
    """The notebook of a source, without outputs.

    Args:
      text: the source.
      name: of the notebook; the cells are called after it.
      seconds: how long running it took.

    Raises:
      BadSource: it does not begin with text, says no time, or leaves a block open.

    """
    cells = _cells(text)
    if not cells or cells[0][0] != "markdown" or TIME not in cells[0][1]:
        raise BadSource(f"{name}.md has to begin with text in which {TIME} stands")
    cells.insert(1, ("code", problem_notebooks.FIRST_CELL))
    told = [
        (kind, content.replace(TIME, words_for(seconds)) if kind == "markdown" else content)
        for kind, content in cells
    ]
    made = problem_notebooks.notebook_of(told, name)
    made["metadata"]["seconds"] = round(seconds, 1)
    return nbformat.reads(json.dumps(made), as_version=4)


def words_for(seconds: float) -> str:
    """A time as people say it: ``12 seconds``, ``3 minutes``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} seconds"
    return f"{round(seconds / 60)} minutes"


def _cells(text: str) -> list[tuple[str, str]]:
    cells: list[tuple[str, str]] = []
    lines: list[str] = []
    fence = ""  # what opened the block that we are in

    def close(kind: str) -> None:
        content = "\n".join(lines).strip("\n")
        if content.strip():
            cells.append((kind, content))
        lines.clear()

    for line in text.splitlines():
        if not fence and line == "```python":
            close("markdown")
            fence = line
        elif fence == "```python" and line == "```":
            close("code")
            fence = ""
        else:
            if line.startswith("```"):
                fence = "" if fence else line
            lines.append(line)
    if fence:
        raise BadSource(f"the block that {fence} opens is never closed")
    close("markdown")
    return cells

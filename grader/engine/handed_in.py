"""From a file that somebody hands in to the text that is graded."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from grader.engine.cells import NoAnswer, answer_in, jupyter_command

MOST_BYTES = 2**20
MOST_NOTEBOOK_BYTES = 2**24
"""A notebook holds its outputs, too."""


class Unreadable(Exception):
    """The file cannot be read as Python text."""


class NoAnswerCell(Unreadable):
    """The file is a notebook, and it does not tell which of its cells is the answer."""


def read_source(path: Path, number: int) -> str:
    """The text of a submission; of a notebook the cell that answers problem ``number``.

    Raises:
      NoAnswerCell: it is a notebook in which no single cell is the answer.
      Unreadable: it is empty, too large, binary, not UTF-8, no regular file, not readable, or
        holds commands of Jupyter.

    """
    text = _read_text(path, MOST_NOTEBOOK_BYTES if _is_notebook(path) else MOST_BYTES)
    return _read_cell(text, number) if _is_notebook(path) else text


def _is_notebook(path: Path) -> bool:
    return path.suffix.lower() == ".ipynb"


def _read_cell(notebook: str, number: int) -> str:
    try:
        code = answer_in(notebook, number)
    except NoAnswer as error:
        raise NoAnswerCell(str(error)) from None
    try:
        size = len(code.encode())
    except UnicodeEncodeError:
        raise Unreadable("the cell holds characters that UTF-8 cannot write") from None
    if size > MOST_BYTES:
        raise Unreadable(f"the cell has {size:,} bytes; more than {MOST_BYTES:,} are not read")
    if "\0" in code:
        raise Unreadable("the cell is binary, not Python text")
    if (told := jupyter_command(code)) is not None:
        raise Unreadable(told)
    return code


def _read_text(path: Path, most: int) -> str:
    try:
        data = _first_bytes(path, most)
    except OSError as error:
        raise Unreadable(f"the file cannot be read: {error.strerror}") from error
    if b"\0" in data:
        raise Unreadable("the file is binary, not Python text")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise Unreadable(f"line {line} is not UTF-8 text; save the file as UTF-8") from error
    if not text.strip():
        raise Unreadable("the file is empty")
    return text


def _first_bytes(path: Path, most: int) -> bytes:
    """At most ``most``: a link may lead to a device that never ends, or never begins."""
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise Unreadable("it is no regular file; name a file with Python text")
        data = file.read(most + 1)
        if len(data) > most:
            size = max(status.st_size, len(data))
            raise Unreadable(f"the file has {size:,} bytes; more than {most:,} are not read")
        return data

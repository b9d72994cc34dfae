"""From a file that somebody hands in to the text that is graded."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from grader.engine.cells import NoAnswer, answer_in, jupyter_command

_DECLARED = re.compile(rb"[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
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
      Unreadable: it is empty, too large, binary, not text in its encoding, no regular file, not
        readable, or holds commands of Jupyter.

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
    encoding = _encoding(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line, name = data[: error.start].count(b"\n") + 1, encoding.removesuffix("-SIG")
        raise Unreadable(f"line {line} is not {name} text; save the file as UTF-8") from error
    except LookupError as error:
        told = f"the file says that its encoding is {encoding}, which Python does not know"
        raise Unreadable(f"{told}; save it as UTF-8 and leave that line out") from error
    except ValueError as error:  # some codecs have errors of their own
        told = f"the file says that its encoding is {encoding}, and it is not"
        raise Unreadable(f"{told}; save it as UTF-8 and leave that line out") from error
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise Unreadable("the file holds characters that UTF-8 cannot write")
    if not text.strip():
        raise Unreadable("the file is empty")
    return text


def _encoding(data: bytes) -> str:
    """What the first or second line says as Python understands it (PEP 263), else UTF-8."""
    for line in data.split(b"\n", 2)[:2]:
        declared = _DECLARED.match(line)
        if declared is not None:
            name = declared[1].decode()
            return "UTF-8-SIG" if name.lower() in ("utf-8", "utf8") else name
        if line.strip() and not line.lstrip().startswith(b"#"):
            break
    return "UTF-8-SIG"


def _first_bytes(path: Path, most: int) -> bytes:
    """At most ``most``, of no link: it would be read with the rights of whoever grades."""
    if path.is_symlink():
        raise Unreadable("it is a link; name the file itself")
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
    with open(os.open(path, flags), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise Unreadable("it is no regular file; name a file with Python text")
        data = file.read(most + 1)
        if len(data) > most:
            size = max(status.st_size, len(data))
            raise Unreadable(f"the file has {size:,} bytes; more than {most:,} are not read")
        return data

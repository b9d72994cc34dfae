"""Make the output streams fit what the terminal can show."""

from __future__ import annotations

import codecs
import io
import os
import sys
from collections.abc import Mapping
from typing import TextIO

SAID_PLAINLY: dict[str, str] = {
    "·": "-",
    "–": "-",
    "—": "-",
    "→": "->",
    "←": "<-",
    "×": "x",
    "≥": ">=",
    "≤": "<=",
    "≠": "!=",
    "≈": "~",
    "²": "^2",
    "√": "sqrt",
    "Σ": "sum",
    "ε": "eps",
    "…": "...",
    "✓": "ok",
    "✗": "X",
    "•": "*",
    "─": "-",
    "━": "-",
    "█": "#",
    "░": ".",
    "│": "|",
    "“": '"',
    "”": '"',
    "’": "'",
    "‘": "'",
}
"""What stands for a sign where a terminal shows no Unicode."""


def plainly(text: str) -> str:
    """``text`` with signs spelled in ASCII where that can be done."""
    return text.translate({ord(sign): said for sign, said in SAID_PLAINLY.items()})


def asks_for_ascii(environment: Mapping[str, str]) -> bool:
    """Whether the locale is the plain C one.

    Python itself assumes UTF-8 then, and tells so by setting ``LC_CTYPE``; the terminal is
    what the user said, not what Python hopes.
    """
    if environment.get("PYTHONIOENCODING") or environment.get("PYTHONUTF8"):
        return False
    plain = ("C", "POSIX")
    if environment.get("LC_ALL"):
        return environment["LC_ALL"] in plain
    by_python = environment.get("LC_CTYPE", "") in ("", "C", "POSIX", "C.UTF-8")
    return environment.get("LANG", "") in plain and by_python


def fit_streams() -> None:
    """From now on no output fails for its characters, and none is sent that cannot be shown."""
    codecs.register_error("plainly", _replacement)
    encoding = "ascii" if asks_for_ascii(os.environ) else None
    sys.stdout, sys.stderr = _there(sys.stdout), _there(sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=encoding, errors="plainly")


def _there(stream: TextIO | None) -> TextIO:
    """A stream, into nothing where there is none: ``>&-`` closes one before Python starts."""
    return stream or open(os.devnull, "w", encoding="utf-8")


def _replacement(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    said = "".join(SAID_PLAINLY.get(sign, "?") for sign in signs)
    return said.encode("ascii", "replace").decode(), error.end

"""Keep a submission from reading the answers: the door for earlier blocks is ``use``.

An audit hook cannot be taken out again by Python code. It is a fence for honest people and for
the curious, not a sandbox.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from grader.catalogue import ROOT, SOLUTIONS

_CLOSED = tuple(
    os.path.realpath(folder) + os.sep
    for folder in (SOLUTIONS, ROOT / "grader" / "specs", ROOT / "tests" / "answers")
)


class Peeked(PermissionError):
    """A submission tried to read a reference solution or the list of mistakes."""


def close_the_answers() -> None:
    """From now on this process cannot open solutions, specs or shipped answers."""
    from grader.engine import reference, suspects

    reference.forget()
    suspects.forget()
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in ("open", "os.listdir", "os.scandir") or not arguments:
        return
    path = arguments[0]
    if isinstance(path, bytes):
        path = os.fsdecode(path)
    if isinstance(path, str | os.PathLike):
        real = os.path.realpath(path)
        if any(real.startswith(closed) or real + os.sep == closed for closed in _CLOSED):
            name = os.path.relpath(real, ROOT)
            raise Peeked(f"{name} is closed to an answer; earlier blocks come in with use()")

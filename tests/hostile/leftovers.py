"""See what a grading leaves behind: processes, however far they ran away, and files."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from pathlib import Path

_BE_A_SUBREAPER = 36


def adopt_orphans() -> None:
    """Become the parent of whatever loses its own below this process (Linux)."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_BE_A_SUBREAPER, 1, 0, 0, 0)


def children() -> set[int]:
    """The living processes whose parent is this one."""
    found = set()
    for path in Path("/proc/self/task").glob("*/children"):
        found |= {int(pid) for pid in path.read_text().split()}
    return {pid for pid in found if _state(pid) not in ("Z", "")}


def descendants(pid: int) -> set[int]:
    """The living processes below one."""
    found: set[int] = set()
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, path.read_text().split()):
            found |= {child} | descendants(child)
    return {pid for pid in found if _state(pid) not in ("Z", "")}


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""


def no_others_than(before: set[int], seconds: float = 1.0) -> bool:
    """Whether the children are those of before, or soon will be: one clears up a stuffed folder."""
    until = time.monotonic() + seconds
    while not children() <= before:
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def gone_soon(folder: Path, seconds: float = 2.0) -> bool:
    """Whether ``folder`` is empty, or becomes so: a stuffed one is removed in the background."""
    until = time.monotonic() + seconds
    while os.listdir(folder):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True

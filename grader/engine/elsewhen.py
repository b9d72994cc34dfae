"""Another clock, and other hashes of texts: a right answer looks at neither, so a child may live
by them.
"""

from __future__ import annotations

import builtins
import time
from types import ModuleType
from typing import Any

YEAR = 365 * 24 * 3600 + 12_345
_SECRET = 0x5DEECE66D
"""Python hashes texts by a secret that each process draws; children of one judge share its."""
_living = False


def live_elsewhen() -> None:
    """Let the clocks of ``time`` run a year ahead in this process, and texts hash otherwise."""
    global _living
    _living = True
    for name in ("time", "monotonic", "perf_counter"):
        plain, exact = getattr(time, name), getattr(time, name + "_ns")
        setattr(time, name, lambda plain=plain: plain() + YEAR)
        setattr(time, name + "_ns", lambda exact=exact: exact() + YEAR * 10**9)


def furnish(module: ModuleType) -> None:
    """Give a module that is to be run the ``hash`` of where this process lives."""
    if _living:
        vars(module)["__builtins__"] = {**vars(builtins), "hash": _hash_elsewhere}


def _hash_elsewhere(value: Any) -> int:
    return hash(value) ^ _SECRET if _by_secret(value) else hash(value)


def _by_secret(value: Any) -> bool:
    """Whether the hash of a value differs from process to process."""
    if isinstance(value, tuple | frozenset):
        return any(map(_by_secret, value))
    return isinstance(value, str | bytes)

"""Another clock: a right answer does not look at it, so a child may live by it."""

from __future__ import annotations

import time

YEAR = 365 * 24 * 3600 + 12_345


def live_elsewhen() -> None:
    """Let the clocks of ``time`` run a year ahead in this process."""
    for name in ("time", "monotonic", "perf_counter"):
        plain, exact = getattr(time, name), getattr(time, name + "_ns")
        setattr(time, name, lambda plain=plain: plain() + YEAR)
        setattr(time, name + "_ns", lambda exact=exact: exact() + YEAR * 10**9)

"""How long something may still take, on a machine that others use, too.

A time limit is there for a submission that does not end.  On a machine with more to do than it has
cores a sound one takes several times as long, for no fault of its own: what a process spends
ready to run, waiting for a core, is given back to it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

_MOST_GIVEN_BACK = 4.0
"""So many times the limit at most: a submission could start threads that keep itself waiting."""


class FairTime:
    """Counts down from now.

    Args:
      seconds: the limit on an idle machine.
      processes: those whose work is limited; of each its first thread is looked at.

    """

    def __init__(self, seconds: float, processes: Sequence[int]) -> None:
        self._seconds = seconds
        self._started = time.monotonic()
        self._waited = {pid: waited(pid) for pid in processes}

    def left(self) -> float:
        """Seconds until the time is up, as it looks now; zero or less when it is."""
        left = self._started + self._seconds - time.monotonic()
        if left > 0:
            return left
        given_back = sum(max(waited(pid) - before, 0.0) for pid, before in self._waited.items())
        return left + min(given_back, _MOST_GIVEN_BACK * self._seconds)


def waited(process: int) -> float:
    """Seconds that a process was ready to run and had no core; 0 where the system does not tell.

    Linux tells it in ``/proc/<pid>/schedstat`` (Documentation/scheduler/sched-stats.rst).
    """
    try:
        return int(Path(f"/proc/{process}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0

"""How long a search for mistakes goes on."""

from __future__ import annotations

import math
import time

from grader.engine.comparison import Comparer

LEAST_TRIED = 60
"""So many mutants are run in the time that is planned, where the imports take a second."""
_LONGER = 2.0


class Patience:
    """An amount of processor time; on a slow machine more, until as many mutants were run.

    Args:
      comparer: counts the mutants.
      seconds: of processor time, from now on. Where it is up and fewer than `LEAST_TRIED` mutants
        were run, a search may take twice of it.

    """

    def __init__(self, comparer: Comparer, seconds: float = math.inf) -> None:
        self._comparer = comparer
        self._began = time.process_time()
        self._seconds = seconds

    def over(self) -> bool:
        """Whether the search has to end."""
        taken = time.process_time() - self._began
        few = self._comparer.tried < LEAST_TRIED
        return taken >= self._seconds * (_LONGER if few else 1.0)

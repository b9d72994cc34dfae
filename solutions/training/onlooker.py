"""Who looks on while the loop runs: what is told, and what of it may fail.

With several processes only the first has a folder and a terminal, so only it can find a disk full.
The others would wait for it in the next step's sums; so what fails is kept until all ask one
another anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import jax

from solutions.training.devices import any_process, fail_together

Line = dict[str, Any]
"""A line of ``metrics.jsonl``: numbers by name, and None where an epoch was not tested."""
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Progress:
    """Where the run stands after a call: the means of the epoch so far."""

    step: int
    total_steps: int
    epoch: int
    metrics: dict[str, float]
    images_per_second: float
    learning_rate: float


class Watch(Protocol):
    """Whoever looks on.  Called between two calls of the program, never inside."""

    def on_start(self, step: int, total_steps: int, history: Sequence[Line]) -> None:
        """Before the first step; ``step`` and ``history`` are those of the checkpoint, if any."""

    def on_progress(self, progress: Progress) -> None:
        """After every call."""

    def on_epoch(self, line: Line) -> None:
        """After every epoch, with its line of ``metrics.jsonl``."""

    def stop_asked(self) -> bool:
        """Whether to save and stop now."""


class Silent:
    """Nobody looks on."""

    def on_start(self, step: int, total_steps: int, history: Sequence[Line]) -> None:
        """Nothing."""

    def on_progress(self, progress: Progress) -> None:
        """Nothing."""

    def on_epoch(self, line: Line) -> None:
        """Nothing."""

    def stop_asked(self) -> bool:
        """Never."""
        return False


class Together:
    """Somebody who looks on in each of several processes, stops with all, and fails with all.

    With one process, errors are raised where they are.

    Args:
      watch: who looks on in this one.

    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._failed: Exception | None = None

    def on_start(self, step: int, total_steps: int, history: Sequence[Line]) -> None:
        """Tell it, and agree; all call at the same point."""
        self._kept(lambda: self._watch.on_start(step, total_steps, history))
        fail_together(self._failed)

    def on_progress(self, progress: Progress) -> None:
        """Tell it."""
        self._kept(lambda: self._watch.on_progress(progress))

    def on_epoch(self, line: Line) -> None:
        """Tell it."""
        self._kept(lambda: self._watch.on_epoch(line))

    def stop_asked(self) -> bool:
        """Whether any process is to stop; all ask at the same point.

        Raises:
          BadDevices: another process has failed since the last time; in that one, what failed.

        """
        asked = any_process(bool(self._kept(self._watch.stop_asked)))
        fail_together(self._failed)
        return asked

    def _kept(self, act: Callable[[], _Result]) -> _Result | None:
        """What ``act`` gives; nothing more is told once something has failed."""
        if self._failed is not None:
            return None
        try:
            return act()
        except Exception as error:
            if jax.process_count() == 1:
                raise
            self._failed = error
            return None

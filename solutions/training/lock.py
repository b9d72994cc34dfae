"""No two processes train in one folder: a lock that goes with the process, however that ends."""

from __future__ import annotations

import contextlib
from pathlib import Path

from solutions.training.devices import in_first_process
from solutions.training.disk import CannotSave, reason


class AnotherRun(ValueError):
    """A folder holds the checkpoints of a different run, or another process trains in it."""


class Lock:
    """The lock of a run's folder, which the first process takes for all.

    Args:
      folder: of the run.

    """

    def __init__(self, folder: Path) -> None:
        from filelock import FileLock

        self._folder = folder
        self._lock = FileLock(folder / ".lock")

    def take(self) -> None:
        """Take it, without waiting.

        Raises:
          AnotherRun: another process has it.
          CannotSave: the folder cannot be written to.

        """
        from filelock import Timeout

        def take() -> None:
            with contextlib.suppress(NotImplementedError):  # a file system without locks
                self._lock.acquire(blocking=False)

        try:
            in_first_process(take)
        except Timeout:
            raise AnotherRun(
                f"{self._folder}: another process is training there; wait for its end, or "
                "choose another folder"
            ) from None
        except OSError as error:
            raise CannotSave(f"{self._folder}: {reason(error)}") from error

    def release(self) -> None:
        """Let go of it."""
        self._lock.release()

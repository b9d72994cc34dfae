"""What Orbax logs, dropped: an error that matters is raised, in one line, by who uses it."""

from __future__ import annotations

import logging
import sys
import traceback
from pathlib import Path

_TALKATIVE = ("absl", "asyncio")


class Deaf(logging.Filter):
    """Drops what Orbax logs, from its own threads too, and what asyncio logs about it.

    Where writing fails, Orbax gives up the event loop to which TensorStore's threads still report:
    they tell Python's hook for errors that nobody can catch, and what they found is logged as
    never asked for.
    """

    def begin(self) -> None:
        """From now on."""
        for name in _TALKATIVE:
            logging.getLogger(name).addFilter(self)
        self._before, self._hook = sys.unraisablehook, self._unraisable
        sys.unraisablehook = self._hook

    def end(self) -> None:
        """No more."""
        for name in _TALKATIVE:
            logging.getLogger(name).removeFilter(self)
        if sys.unraisablehook is self._hook:
            sys.unraisablehook = self._before

    def _unraisable(self, told: sys.UnraisableHookArgs) -> None:
        if told.object is not None or str(told.exc_value) != "Event loop is closed":
            self._before(told)

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is not of Orbax."""
        files = {record.pathname}
        if record.exc_info:
            _, error, trace = record.exc_info
            files.update(frame.filename for frame in traceback.extract_tb(trace))
            if trace is None and "tensorstore" in str(error):  # none of Python's code raised it
                return False
        return not any("orbax" in Path(file).parts for file in files)

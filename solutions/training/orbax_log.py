"""What Orbax logs, dropped: an error that matters is raised, in one line, by who uses it."""

from __future__ import annotations

import logging
import sys
import traceback
from pathlib import Path

_TALKATIVE = ("absl", "asyncio")
_NOBODY = logging.NullHandler()


class Deaf(logging.Filter):
    """Drops what Orbax logs, from its own threads too, and what asyncio logs about it.

    Where writing fails, Orbax gives up the event loop to which TensorStore's threads still report:
    they tell Python's hook for errors that nobody can catch, and what they found is logged as
    never asked for.

    Orbax logs by absl, which calls ``logging.basicConfig`` at each line, the first one being
    written when Orbax is imported.  That does nothing where the root logger has a handler, so until
    the end it has the one that Python takes where there is none.
    """

    def begin(self) -> None:
        """From now on; before Orbax is imported."""
        self._added = None if logging.root.handlers else (logging.lastResort or _NOBODY)
        if self._added is not None:
            logging.root.addHandler(self._added)
        for name in _TALKATIVE:
            logging.getLogger(name).addFilter(self)
        self._before, self._hook = sys.unraisablehook, self._unraisable
        sys.unraisablehook = self._hook

    def end(self) -> None:
        """No more."""
        for name in _TALKATIVE:
            logging.getLogger(name).removeFilter(self)
        if self._added is not None:
            logging.root.removeHandler(self._added)
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

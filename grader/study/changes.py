"""Notice that a file was saved: by events where the system sends them, else by looking."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path

_SETTLED = 0.03
_EMPTY_SETTLED = 0.3
_LOOK_OFTEN = 0.1
_LOOK_SELDOM = 0.5

_Signature = tuple[int, int, int] | None


class Changes:
    """Watches files in one folder.

    Events only say that it is time to look; what counts is what lies on the disk.  So a file
    on a drive that sends no events is noticed, too, and a save that raises ten events is one.
    A file that is missing or empty is given time: many editors save in two steps.

    Args:
      files: what to watch, by a key of your choice.
      events: whether to ask the system for events.

    """

    def __init__(self, files: Mapping[int, Path], events: bool = True) -> None:
        self._files = dict(files)
        self._known = {key: _signature(path) for key, path in self._files.items()}
        self._due: dict[int, float] = {}
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._by_events = events
        if events:
            self._thread = threading.Thread(target=self._listen, daemon=True)
            self._thread.start()

    def _listen(self) -> None:
        folders = {str(path.parent) for path in self._files.values()}
        try:
            from watchfiles import watch

            for _ in watch(
                *folders,
                recursive=False,
                step=10,
                debounce=100,
                rust_timeout=200,
                stop_event=self._stop,
                raise_interrupt=False,
            ):
                os.write(self._writing, b".")
        except (ImportError, OSError, RuntimeError):
            self._by_events = False  # too many watches, or a system without: look more often

    def fileno(self) -> int:
        """Becomes readable when it is time to call ``saved``, for ``select``."""
        return self._reading

    def patience(self) -> float:
        """Seconds after which to call ``saved`` even without an event."""
        wait = _LOOK_SELDOM if self._by_events else _LOOK_OFTEN
        now = time.monotonic()
        return max(0.0, min([wait, *(due - now for due in self._due.values())]))

    def saved(self) -> list[int]:
        """The keys of files that were saved since they were last told."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._reading, 4096):
                pass
        now = time.monotonic()
        for key, path in self._files.items():
            signature = _signature(path)
            if signature != self._known[key]:
                self._known[key] = signature
                whole = signature is not None and signature[1] > 0
                self._due[key] = now + (_SETTLED if whole else _EMPTY_SETTLED)
        ready = [key for key, due in self._due.items() if due <= now]
        for key in ready:
            del self._due[key]
        return ready

    def close(self) -> None:
        """Stop watching."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(2)
        os.close(self._reading)
        os.close(self._writing)


def _signature(path: Path) -> _Signature:
    try:
        known = path.stat()
    except OSError:
        return None
    return known.st_mtime_ns, known.st_size, known.st_ino

"""Single keys from a terminal, without Enter; the terminal is left as it was found."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import termios
import tty
from types import TracebackType


class Keyboard:
    """Use as a context manager; ``fileno`` and ``signals`` are for ``select``.

    Signals that matter to a screen (its size, being stopped and continued, being ended) wake
    the ``select`` up: ``events`` gives their numbers.
    """

    _SIGNALS = (signal.SIGWINCH, signal.SIGCONT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self._terminal = sys.stdin.fileno()

    def __enter__(self) -> Keyboard:
        self._found = termios.tcgetattr(self._terminal)
        self.signals, self._writing = os.pipe()
        for end in (self.signals, self._writing):
            os.set_blocking(end, False)
        self._handlers = {number: signal.signal(number, _noted) for number in self._SIGNALS}
        self._woken = signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        self.take()
        return self

    def take(self) -> None:
        """Single keys from now on (again after the process was stopped and continued)."""
        tty.setcbreak(self._terminal)

    def fileno(self) -> int:
        """The terminal."""
        return self._terminal

    def typed(self) -> str:
        """What was typed; special keys (arrows and the like) are left out."""
        try:
            typed = os.read(self._terminal, 1024).decode("utf-8", "replace")
        except OSError:
            return "q"  # the terminal is gone
        if not typed:
            return "q"
        return "" if typed.startswith("\x1b") else typed.lower()

    def events(self) -> set[int]:
        """The numbers of the signals that came."""
        with contextlib.suppress(BlockingIOError):
            return set(os.read(self.signals, 1024))
        return set()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        signal.set_wakeup_fd(self._woken)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        with contextlib.suppress(termios.error):
            termios.tcsetattr(self._terminal, termios.TCSADRAIN, self._found)
        os.close(self.signals)
        os.close(self._writing)


def _noted(number: int, frame: object) -> None:
    """Only the wake-up matters."""

"""Processes that are interrupted: Ctrl-C and the other signals that end one."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType
from typing import NoReturn

INTERRUPTED = 128 + signal.SIGINT
"""The exit status of what Ctrl-C ended."""


def clearing_away() -> None:
    """From now on whoever ends this process by a signal leaves no processes and folders of it."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _leave)


def _leave(number: int, _: object) -> NoReturn:
    sys.exit(128 + number)


def interruptible() -> None:
    """From now on Ctrl-C raises ``KeyboardInterrupt``, where `__main__` had it end the process."""
    if callable(signal.getsignal(signal.SIGINT)):
        signal.signal(signal.SIGINT, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise ``KeyboardInterrupt``, but not where it would be lost: there, a little later.

    Python drops what is raised while it collects garbage, which JAX takes part in; and a module
    written in C may crash when it is interrupted in its beginning.
    """
    while frame is not None:
        code = frame.f_code
        if code.co_name == "_xla_gc_callback" or code.co_filename.startswith("<frozen importlib"):
            again = threading.Timer(0.05, os.kill, (os.getpid(), number))
            again.daemon = True
            again.start()
            return
        frame = frame.f_back
    raise KeyboardInterrupt


def leave_at_once(last_words: str) -> NoReturn:
    """End this process as it is; the usual way out waits until XLA has compiled what it began."""
    print(last_words, file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(INTERRUPTED)

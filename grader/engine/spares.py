"""Processes forked ahead of their work, so that a student who saves a file need not wait for it.

A forked process pays for each page of memory that it is the first to write to.  One that has
rehearsed, and then waits, has paid before anybody looks.
"""

from __future__ import annotations

import gc
import json
import os
import socket
from collections.abc import Callable
from dataclasses import asdict
from typing import NoReturn

from grader.engine.births import Birth, Descriptors

Work = Callable[[Birth, Descriptors, int], NoReturn]


class Spares:
    """Forks of this process that wait for their work.

    Args:
      work: what a fork does once it is told a birth, its descriptors and its parent.

    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._waiting: list[tuple[int, socket.socket]] = []

    def prepare(self, count: int) -> None:
        """See to it that ``count`` of them wait."""
        while len(self._waiting) < count:
            ours, theirs = socket.socketpair()
            gc.freeze()
            parent = os.getpid()
            pid = os.fork()
            if pid == 0:
                ours.close()
                for _, other in self._waiting:
                    other.close()
                self._wait(theirs, parent)
            theirs.close()
            self._waiting.append((pid, ours))

    def start(self, birth: Birth, descriptors: Descriptors) -> int | None:
        """Give one of them its work; its number, or None when none waits."""
        while self._waiting:
            pid, line = self._waiting.pop(0)
            with line:
                try:
                    socket.send_fds(line, [json.dumps(asdict(birth)).encode()], list(descriptors))
                except OSError:
                    os.waitpid(pid, 0)  # it is gone, whatever the reason
                    continue
            return pid
        return None

    def close(self) -> None:
        """Let those that wait go, and wait until they are gone."""
        for pid, line in self._waiting:
            line.close()
            os.waitpid(pid, 0)
        self._waiting.clear()

    def _wait(self, line: socket.socket, parent: int) -> NoReturn:
        from grader.engine.rehearsal import rehearse

        try:
            rehearse()
            message, given, _, _ = socket.recv_fds(line, 2**16, 3)
            line.close()
            if message:
                self._work(Birth(**json.loads(message)), (given[0], given[1], given[2]), parent)
        finally:
            os._exit(1)

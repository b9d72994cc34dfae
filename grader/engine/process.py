"""Talk to the child process that runs a submission, and end it."""

from __future__ import annotations

import contextlib
import os
import queue
import select
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from grader.engine import wire
from grader.engine.births import Birth, nursery
from grader.engine.fair_time import FairTime
from grader.engine.sandbox import MEMORY

_CAPTURED = 64 * 2**10
_FILES_REMOVED_AT_ONCE = 2000
_Answer = tuple[dict[str, Any], list[np.ndarray]] | str | None
"""A message, what was wrong with it, or None when the child hung up."""


class Lost(Exception):
    """The child gave no answer: ``reason`` is ``timeout``, ``died`` or ``garbage``.

    ``asked`` is the header of the request that was not answered, where one was.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.asked: dict[str, Any] = {}


class Child:
    """A process that will run a submission with its hands tied.

    Args:
      problem: the number of the problem.
      seconds: after this time the child is lost; a busy machine has more, see `FairTime`.
      elsewhen: whether the child lives under another clock.

    Attributes:
      time: how long it may still take.
      printed: the first of what it wrote to stdout and stderr.

    """

    def __init__(self, problem: int, seconds: float, elsewhen: bool = False) -> None:
        self.scratch = tempfile.mkdtemp(prefix="grade-")
        requests_out, self._requests = os.pipe()
        self._replies, replies_in = os.pipe()
        printed_out, printed_in = os.pipe()
        self._nursery = nursery()
        birth = Birth(problem, self.scratch, seconds, elsewhen)
        self.pid = self._nursery.start(birth, (requests_out, replies_in, printed_in))
        self.time = FairTime(seconds, (os.getpid(), self.pid))
        for fd in (requests_out, replies_in, printed_in):
            os.close(fd)
        os.set_blocking(self._requests, False)
        self._answers: queue.Queue[_Answer] = queue.Queue()
        # A message is read only when one is due: a child that floods its pipe waits there.
        self._due = threading.Semaphore(1)
        self.printed = bytearray()
        self._missing: list[str] | None = None
        self._closed = False
        threading.Thread(target=self._read_replies, daemon=True).start()
        self._printer = threading.Thread(
            target=self._read_printed, args=(printed_out,), daemon=True
        )
        self._printer.start()

    def _read_replies(self) -> None:
        try:
            while True:
                self._due.acquire()
                if self._closed:
                    break
                self._answers.put(wire.receive(self._replies))
        except wire.HungUp:
            self._answers.put(None)
        except (wire.WireError, OSError, MemoryError) as error:
            self._answers.put(f"the process sent what is no answer: {error}")
        os.close(self._replies)

    def _read_printed(self, fd: int) -> None:
        while True:
            try:
                chunk = os.read(fd, 2**16)
            except OSError:
                chunk = b""
            if not chunk:
                os.close(fd)
                return
            self.printed += chunk[: _CAPTURED - len(self.printed)]

    def send(self, header: dict[str, Any], arrays: Sequence[np.ndarray] = ()) -> None:
        """Queue a request; its answer comes from ``receive``, in order."""
        pending = memoryview(wire.pack(header, arrays))
        waiter = select.poll()
        waiter.register(self._requests, select.POLLOUT)
        self._due.release()
        while pending:
            left = self.time.left()
            if left <= 0:
                raise Lost("timeout", "the time was up")
            if not waiter.poll(left * 1000):
                continue
            try:
                pending = pending[os.write(self._requests, pending[: 2**16]) :]
            except BlockingIOError:
                continue
            except OSError:
                return  # it died; the reason is told where its answer is awaited

    def receive(self) -> tuple[dict[str, Any], list[np.ndarray]]:
        """The answer to the oldest request.

        Raises:
          Lost: there will be none.

        """
        self.missing_protection()
        return self._next()

    def missing_protection(self) -> list[str]:
        """What this machine does not close to the child; it says so before it runs anything.

        Raises:
          Lost: it did not come that far.

        """
        if self._missing is None:
            header, _ = self._next()
            self._missing = [str(line) for line in header.get("missing", ())]
        return self._missing

    def _next(self) -> tuple[dict[str, Any], list[np.ndarray]]:
        answer = self._awaited()
        if isinstance(answer, tuple):
            return answer
        self._answers.put(answer)
        if answer is None:
            raise Lost("died", self._how_it_ended())
        raise Lost("garbage", answer)

    def _awaited(self) -> _Answer:
        while True:
            left = self.time.left()
            try:
                return self._answers.get(timeout=max(left, 0.001))
            except queue.Empty:
                if left <= 0:
                    raise Lost("timeout", "the time was up") from None

    def _how_it_ended(self) -> str:
        end = self._nursery.ended(self.pid, 0.5)
        if end is None:
            return "the process stopped answering"
        if end.memory > 0.8 * MEMORY and end.code != 0:
            return f"the process ran out of memory (it may use {MEMORY / 2**30:.0f} GiB)"
        if end.code == -signal.SIGXCPU:
            return "the process used up its CPU time"
        if end.code < 0:
            known = {number.value: number.name for number in signal.Signals}
            return f"the process was ended by {known.get(-end.code, f'signal {-end.code}')}"
        return f"the process exited with code {end.code}"

    def close(self) -> None:
        """End the child and everything it started; remove its scratch folder."""
        if self._closed:
            return
        self._closed = True
        self._nursery.end(self.pid)
        self._due.release()
        self._printer.join(0.2)
        os.close(self._requests)
        _remove(self.scratch)


def _remove(folder: str) -> None:
    """Remove a scratch folder; one that was stuffed with files is not waited for."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for i, entry in enumerate(entries):
            if i == _FILES_REMOVED_AT_ONCE or entry.is_dir(follow_symlinks=False):
                break
            os.unlink(entry.path)
    try:
        os.rmdir(folder)
    except OSError:
        program = shutil.which("sh")
        if program:  # a folder inside may be closed even to its owner
            quiet, told = subprocess.DEVNULL, 'chmod -R u+rwX "$0"; rm -rf "$0"'
            subprocess.Popen(  # noqa: S603
                [program, "-c", told, folder], start_new_session=True, stdout=quiet, stderr=quiet
            )

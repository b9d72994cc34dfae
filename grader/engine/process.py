"""Start, talk to and end the child process that runs a submission."""

from __future__ import annotations

import contextlib
import gc
import os
import queue
import select
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from grader.engine import wire

_CAPTURED = 64 * 2**10


class Lost(Exception):
    """The child gave no answer: ``reason`` is ``timeout``, ``died`` or ``garbage``."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Child:
    """A forked process that runs ``serve(requests, replies)`` with its hands tied.

    The parent must not have started a JAX backend: a forked one hangs.

    Args:
      serve: what the child runs, given the two descriptors it may use.
      deadline: ``time.monotonic()`` after which the child is lost.

    """

    def __init__(self, serve: Callable[[int, int], None], deadline: float) -> None:
        self.deadline = deadline
        self.scratch = tempfile.mkdtemp(prefix="grade-")
        requests_out, self._requests = os.pipe()
        self._replies, replies_in = os.pipe()
        printed_out, printed_in = os.pipe()
        gc.freeze()  # what exists now is never collected: the child need not copy its pages
        self.pid = os.fork()
        if self.pid == 0:
            _become_child(serve, requests_out, replies_in, printed_in, self.scratch)
        for fd in (requests_out, replies_in, printed_in):
            os.close(fd)
        os.set_blocking(self._requests, False)
        self._answers: queue.Queue[tuple[dict[str, Any], list[np.ndarray]] | str] = queue.Queue()
        self.printed = bytearray()
        self._closed = False
        threading.Thread(target=self._read_replies, daemon=True).start()
        self._printer = threading.Thread(
            target=self._read_printed, args=(printed_out,), daemon=True
        )
        self._printer.start()

    def _read_replies(self) -> None:
        try:
            while True:
                self._answers.put(wire.receive(self._replies))
        except (wire.WireError, OSError) as error:
            self._answers.put(str(error))

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
        while pending:
            left = self.deadline - time.monotonic()
            if left <= 0 or not waiter.poll(left * 1000):
                raise Lost("timeout", "the time was up")
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
        left = self.deadline - time.monotonic()
        try:
            answer = self._answers.get(timeout=max(left, 0.001))
        except queue.Empty:
            raise Lost("timeout", "the time was up") from None
        if isinstance(answer, str):
            self._answers.put(answer)
            raise Lost("died", self._how_it_ended())
        return answer

    def _how_it_ended(self) -> str:
        with contextlib.suppress(ChildProcessError):
            for _ in range(100):
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    code = os.waitstatus_to_exitcode(status)
                    if code < 0:
                        return f"the process was ended by {signal.Signals(-code).name}"
                    return f"the process exited with code {code}"
                time.sleep(0.005)
        return "the process stopped answering"

    def close(self) -> None:
        """End the child and everything it started; remove its scratch folder."""
        if self._closed:
            return
        self._closed = True
        for end in (os.killpg, os.kill):  # the group may not exist yet
            with contextlib.suppress(ProcessLookupError, PermissionError):
                end(self.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        self._printer.join(0.2)
        os.close(self._requests)
        shutil.rmtree(self.scratch, ignore_errors=True)


def _become_child(
    serve: Callable[[int, int], None], requests: int, replies: int, printed: int, scratch: str
) -> NoReturn:
    """The first thing the forked process does; it never returns to the judge's code."""
    code = 1
    try:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(printed, 1)
        os.dup2(printed, 2)
        keep = sorted({requests, replies})
        low = 3
        for fd in keep:
            os.closerange(low, fd)
            low = fd + 1
        os.closerange(low, 65536)
        os.chdir(scratch)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        serve(requests, replies)
        code = 0
    finally:
        os._exit(code)

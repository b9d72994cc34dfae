"""Asks a warm grader: for whoever grades several files, or one again and again."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from grader.faults import BrokenProblem

CANCEL = {"cancel": True}
CANCELLED = {"cancelled": True}
PREPARE = "--prepare"
_PATIENCE = 3.0


class WarmGrader:
    """Asks a warm grader process; use it as a context manager.

    Args:
      prepare: whether processes are made ready for the next order while there is none: for
        somebody who waits for the verdict.

    """

    def __init__(self, prepare: bool = False) -> None:
        command = [sys.executable, "-m", "grader.engine.server", *([PREPARE] if prepare else [])]
        environment = {**os.environ, "JAX_PLATFORMS": "cpu", "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(  # noqa: S603  our own module
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            cwd=Path(__file__).parents[2],
            start_new_session=True,  # Ctrl-C is for whoever asks, who then closes this
        )

    def grade(self, path: Path, problem: int, **options: Any) -> dict[str, Any]:
        """The verdict on a file, in its JSON form.

        Raises:
          RuntimeError: the warm process is gone.

        """
        self.ask(path, problem, **options)
        return self.receive()

    def examine(self, path: Path, problem: int, **options: Any) -> dict[str, Any]:
        """Like ``grade``: ``{"verdict": every field of the verdict, "pictures": …}``.

        Raises:
          RuntimeError: the warm process is gone.

        """
        return self.grade(path, problem, full=True, **options)

    def ask(self, path: Path, problem: int, **options: Any) -> None:
        """Send an order; ``receive`` gives the answers in the order of the questions."""
        self._send({"path": os.path.abspath(path), "problem": problem, **options})

    def cancel(self) -> None:
        """End the grading at work, if there is one; its answer is then ``CANCELLED``."""
        self._send(CANCEL)

    def _send(self, order: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise RuntimeError("the warm grader ended unexpectedly") from None

    def receive(self) -> dict[str, Any]:
        """The next answer.

        Raises:
          BrokenProblem: the problem is at fault, not the file.
          RuntimeError: the warm process is gone.

        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.strip():
            raise RuntimeError("the warm grader ended unexpectedly")
        answer: dict[str, Any] = json.loads(line)
        if "broken" in answer:
            raise BrokenProblem(answer["broken"])
        return answer

    def fileno(self) -> int:
        """The descriptor that answers come from, for ``select``."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def close(self) -> None:
        """End the process and whatever it started."""
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(2 * _PATIENCE)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> WarmGrader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

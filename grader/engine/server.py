"""A warm grader: processes that have imported JAX and fork for every grade.

It reads one order a line (JSON) from its input and answers with one verdict a line.  It never
starts a JAX backend itself (a forked backend hangs), so it can be asked from processes that
have: notebooks, test suites.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

from grader.engine.births import Zygote, fork_elsewhere, serve_births


class WarmGrader:
    """Asks a warm grader process; use it as a context manager."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "grader.engine.server"]
        environment = {**os.environ, "JAX_PLATFORMS": "cpu", "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(  # noqa: S603  our own module
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            cwd=Path(__file__).parents[2],
        )

    def grade(self, path: Path, problem: int, **options: Any) -> dict[str, Any]:
        """The verdict on a file, in its JSON form.

        Raises:
          RuntimeError: the warm process is gone.

        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"path": str(Path(path).resolve()), "problem": problem, **options}
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the warm grader ended unexpectedly")
        verdict: dict[str, Any] = json.loads(line)
        return verdict

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        self._process.wait(10)
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


def serve() -> None:
    """Answer orders until the input ends.

    Two processes share the work.  This one has JAX and nothing else in memory and forks the
    children that run submissions; the other knows the references and forks the judges.
    """
    import optax  # noqa: F401  children find everything imported

    import grader.specs.claims
    import grader.specs.shapes  # noqa: F401  these two quote no reference
    from grader.engine import worker  # noqa: F401
    from grader.engine.rehearsal import rehearse

    rehearse()
    gc.collect()
    births, orders = socket.socketpair()
    if os.fork() == 0:
        births.close()
        _keep_warm(orders)
    orders.close()
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)  # the orders and the verdicts are the other's
    os.dup2(nothing, 1)
    serve_births(births)
    os.wait()


def _keep_warm(line: socket.socket) -> NoReturn:
    """Answer orders, and prepare the next ones while there is nothing to do."""
    code = 1
    try:
        from grader.engine.warmth import Warmth

        zygote, warmth = Zygote(line), Warmth()
        fork_elsewhere(zygote)
        with os.fdopen(0, "rb", buffering=0) as orders:
            while True:
                while not select.select([orders], [], [], 0)[0] and warmth.grow():
                    pass
                text = orders.readline()
                if not text:
                    break
                told = json.loads(text)
                warmth.expect(told["problem"], told.get("seed", 0), told.get("cases"))
                sys.stdout.buffer.write(_forked(told).strip() + b"\n")
                sys.stdout.buffer.flush()
                zygote.end_all()
        code = 0
    finally:
        if code:
            sys.excepthook(*sys.exc_info())
        os._exit(code)


def _forked(told: dict[str, Any]) -> bytes:
    """The verdict as JSON, worked out in a fork of this process."""
    reading, writing = os.pipe()
    judge = os.fork()
    if judge == 0:
        os.close(reading)
        _answer(told, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        text = answer.read()
    os.waitpid(judge, 0)
    return text


def _answer(told: dict[str, Any], writing: int) -> NoReturn:
    """In the forked judge: grade, write the verdict, end."""
    from grader.catalogue import problem
    from grader.engine.judge import Order, grade

    code = 1
    gc.freeze()  # the references are not garbage: do not look through them again and again
    try:
        path = Path(told.pop("path"))
        verdict = grade(Order(problem(told.pop("problem")), path, **told))
        with os.fdopen(writing, "w") as stream:
            json.dump(verdict.as_json(), stream)
        code = 0
    finally:
        if code:
            sys.excepthook(*sys.exc_info())
        os._exit(code)


if __name__ == "__main__":
    serve()

"""A warm grader: processes that have imported JAX and fork for every grade.

It reads one order a line (JSON) from its input and answers with one verdict a line; where an
order asks for it, what is known so far comes before, as ``{"interim": …}``.  It never
starts a JAX backend itself (a forked backend hangs), so it can be asked from processes that
have: notebooks, test suites.  While it works, an order ``CANCEL`` or the end of its input ends
the grading, and with it the processes that run the submission.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from grader.engine.births import Zygote, fork_elsewhere, serve_births
from grader.engine.warm_grader import CANCEL, CANCELLED, PREPARE
from grader.faults import BrokenProblem

_PATIENCE = 3.0
_FORESEEN = ("seed", "cases", "shapes", "explain")
"""What of an order decides which references and mutants it will need."""

_IDLE = 0.2
"""Seconds without an order after which processes are prepared for the next one."""


def serve(prepare: bool = False) -> None:
    """Answer orders until the input ends.

    Two processes share the work.  This one has JAX and nothing else in memory and forks the
    children that run submissions; the other knows the references and forks the judges.
    """
    import jaxtyping  # noqa: F401  children find everything imported
    import optax  # noqa: F401

    import grader.specs.claims
    import grader.specs.shapes  # noqa: F401  these two quote no reference
    from grader.engine import worker  # noqa: F401
    from grader.engine.rehearsal import rehearse

    rehearse()
    gc.collect()
    births, asking = socket.socketpair()
    if os.fork() == 0:
        births.close()
        _keep_warm(asking, prepare)
    asking.close()
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)  # the orders and the verdicts are the other's
    os.dup2(nothing, 1)
    serve_births(births)
    os.wait()


def _keep_warm(line: socket.socket, prepare: bool) -> NoReturn:
    """Answer orders, and prepare the next ones while there is nothing to do."""
    code = 1
    try:
        from grader import catalogue
        from grader.engine.judge import Order
        from grader.engine.warmth import Warmth

        zygote, warmth, orders = Zygote(line), Warmth(), Orders()
        fork_elsewhere(zygote)
        while True:
            while not orders.ready() and warmth.grow():
                pass
            if prepare and not orders.ready(_IDLE):
                zygote.prepare()
            told = orders.next()
            if told is None:
                break
            if told == CANCEL:
                continue  # what it meant is done already
            if told["problem"] in catalogue.names():
                asked = {name: told[name] for name in _FORESEEN if name in told}
                with contextlib.suppress(BrokenProblem):  # the judge tells it
                    warmth.expect(Order(catalogue.problem(told["problem"]), Path(), **asked))
            _tell(_forked(told, orders))
            zygote.end_all()
        code = 0
    finally:
        if code:
            sys.excepthook(*sys.exc_info())
        os._exit(code)


def _tell(line: bytes) -> None:
    sys.stdout.buffer.write(line.strip() + b"\n")
    sys.stdout.buffer.flush()


class Orders:
    """The orders that come in, one a line."""

    def __init__(self) -> None:
        self._text = b""
        self._ended = False

    def ready(self, patience: float = 0.0) -> bool:
        """Whether ``next`` would not have to wait, or only for ``patience`` seconds."""
        return self._ended or b"\n" in self._text or bool(select.select([0], [], [], patience)[0])

    def next(self) -> dict[str, Any] | None:
        """The next order, None at the end."""
        while b"\n" not in self._text and not self._ended:
            self.look()
        if b"\n" not in self._text:
            return None
        line, self._text = self._text.split(b"\n", 1)
        told: dict[str, Any] = json.loads(line)
        return told

    def look(self) -> None:
        """Wait for more of the input."""
        more = os.read(0, 2**16)
        self._text += more
        self._ended = not more

    def cancelled(self) -> bool:
        """Whether the work at hand is not wanted any more."""
        return self._ended or json.dumps(CANCEL).encode() in self._text


def _forked(told: dict[str, Any], orders: Orders) -> bytes:
    """The verdict as JSON, worked out in a fork of this process; tells what comes before it."""
    reading, writing = os.pipe()
    judge = os.fork()
    if judge == 0:
        os.close(reading)
        _answer(told, writing)
    os.close(writing)
    text = b""
    while True:
        if orders.cancelled():
            _end(judge, reading)
            os.close(reading)
            return json.dumps(CANCELLED).encode()
        ready = select.select([reading, 0], [], [])[0]
        if 0 in ready:
            orders.look()
        if reading in ready:
            chunk = os.read(reading, 2**16)
            if not chunk:
                break
            *before, text = (text + chunk).split(b"\n")
            for line in before:
                _tell(line)
    os.close(reading)
    os.waitpid(judge, 0)
    return text


def _end(judge: int, reading: int) -> None:
    """End a judge, which ends its children first; wait for it."""
    os.kill(judge, signal.SIGTERM)
    while select.select([reading], [], [], _PATIENCE)[0]:
        if not os.read(reading, 2**16):
            break
    else:
        os.kill(judge, signal.SIGKILL)
    os.waitpid(judge, 0)


def _answer(told: dict[str, Any], writing: int) -> NoReturn:
    """In the forked judge: grade, write the verdict, end."""
    signal.signal(signal.SIGTERM, _leave)  # on the way out the children are ended
    from grader.catalogue import problem
    from grader.engine.judge import Order, grade
    from grader.passed import PassedTexts
    from grader.verdict import Verdict

    code, stream = 1, os.fdopen(writing, "w")
    gc.freeze()  # the references are not garbage: do not look through them again and again
    try:
        path, full, pictures = (
            Path(told.pop("path")),
            told.pop("full", False),
            told.pop("pictures", False),
        )
        passed = PassedTexts({int(n): text for n, text in told.pop("passed", {}).items()})

        def interim(known: Verdict) -> None:
            stream.write(json.dumps({"interim": asdict(known)}) + "\n")
            stream.flush()

        if told.pop("interim", False):
            told["interim"] = interim
        order = Order(problem(told.pop("problem")), path, has_passed=passed, **told)
        verdict = grade(order)
        answer = verdict.as_json()
        if full:
            answer = {"verdict": asdict(verdict), "pictures": None}
        if pictures:
            from grader.engine.illustrate import illustrate

            answer["pictures"] = asdict(illustrate(order, verdict))
        with stream:
            json.dump(answer, stream)
        code = 0
    except BrokenProblem as error:
        with stream:
            json.dump({"broken": str(error)}, stream)
        code = 0
    except SystemExit:
        code = 2
    finally:
        if code == 1:
            sys.excepthook(*sys.exc_info())
        os._exit(code)


def _leave(number: int, frame: object) -> NoReturn:
    raise SystemExit


if __name__ == "__main__":
    serve(PREPARE in sys.argv)

"""Grade one file: the way from a path to a verdict."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from grader.engine.births import CHILDREN
from grader.engine.fair_time import FairTime
from grader.engine.handed_in import Unreadable, read_source
from grader.engine.process import Child, Lost
from grader.engine.remote import Remote
from grader.problem import Problem
from grader.verdict import Check, Verdict

DEFAULT_CASES = 30
DEFAULT_SHAPES = 10
DEFAULT_TIMEOUT = 20.0
_GRACE = 1.0
"""Seconds that the judge itself may take beyond the time of the submission."""


def _nobody_waits(verdict: Verdict) -> None:
    pass


def _nothing_has_passed(number: int, source: str) -> bool:
    return False


@dataclass(frozen=True)
class Order:
    """What to grade, and how.

    Attributes:
      problem: the problem.
      path: the submission.
      seed: where the random numbers start; the same seed draws the same cases.
      cases: at least how many cases each contract gets.
      timeout: seconds that the submission has.
      shapes: over at least how many draws of hyperparameters there are cases.
      explain: whether the mistake behind a failure is looked for.
      shrink: whether the smallest failing case is looked for.
      two_children: whether a second process shares the work, and repeats some of it.
      through_xla: whether it compiles one case, too.
      interim: is told what the checks say, before the mistake behind it is looked for.
      has_passed: whether a text has passed as the answer to a problem; ``use`` asks.

    """

    problem: Problem
    path: Path
    seed: int = 0
    cases: int = DEFAULT_CASES
    timeout: float = DEFAULT_TIMEOUT
    shapes: int = DEFAULT_SHAPES
    explain: bool = True
    shrink: bool = True
    two_children: bool = True
    through_xla: bool = True
    interim: Callable[[Verdict], None] = _nobody_waits
    has_passed: Callable[[int, str], bool] = _nothing_has_passed


def grade(order: Order) -> Verdict:
    """The verdict on one file.  Never raises for anything that the submission does."""
    from grader.engine.grading import Grading

    started = time.monotonic()
    shown = str(order.path)
    try:
        source = read_source(order.path, order.problem.number)
    except Unreadable as error:
        check = Check("reads", "the file reads and imports", "failed", str(error), 0.0)
        return Verdict(
            order.problem.name, shown, (check,), order.seed, seconds=time.monotonic() - started
        )
    with open_children(order, CHILDREN if order.two_children else 1) as children:
        grading = Grading(order, source, *map(Remote, children))
        try:
            busy = [os.getpid(), *(child.pid for child in children)]
            with not_later_than(order.timeout + _GRACE, busy):
                verdict = grading.run()
        except Lost:  # the alarm rang again while it was being told that it rang
            verdict = grading.broken_off("failed", "the time was up; the grader stopped here")
        return grading.finish(verdict, started)


@contextmanager
def open_children(order: Order, count: int) -> Iterator[list[Child]]:
    """Fresh children that can run a submission, ended when the block is left.

    The second one lives under another clock: what depends on it comes out different there.
    """
    children: list[Child] = []
    try:
        for i in range(count):
            children.append(Child(order.problem.number, order.timeout, elsewhen=i > 0))
        yield children
    finally:
        for child in children:
            child.close()


@contextmanager
def not_later_than(seconds: float, processes: Sequence[int]) -> Iterator[None]:
    """Raise ``Lost`` again and again inside the block from then on.

    The judge works with what a child told it, and a child may tell what keeps it busy.  Only
    the main thread of a process can be woken; elsewhere the block runs to its end.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    time_of_all = FairTime(seconds, processes)

    def wake(*_: object) -> None:
        if time_of_all.left() <= 0:
            raise Lost("timeout", "the time was up")

    before = signal.signal(signal.SIGALRM, wake)
    signal.setitimer(signal.ITIMER_REAL, seconds, _GRACE / 4)
    try:
        yield
    finally:
        try:
            signal.setitimer(signal.ITIMER_REAL, 0)
        except Lost:  # it rang just now, and will not again for a while
            signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

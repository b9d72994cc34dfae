"""Grade one file: the way from a path to a verdict."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from grader.engine import worker
from grader.engine.process import Child
from grader.engine.remote import Remote
from grader.problem import Problem
from grader.verdict import Check, Verdict

MOST_BYTES = 2**20
DEFAULT_CASES = 30
DEFAULT_SHAPES = 10
DEFAULT_TIMEOUT = 20.0


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
      shrink: whether the smallest failing case is looked for.
      through_xla: whether one case is compiled, too, by a second child.
      has_passed: whether a text has passed as the answer to a problem; ``use`` asks.

    """

    problem: Problem
    path: Path
    seed: int = 0
    cases: int = DEFAULT_CASES
    timeout: float = DEFAULT_TIMEOUT
    shapes: int = DEFAULT_SHAPES
    shrink: bool = True
    through_xla: bool = True
    has_passed: Callable[[int, str], bool] = _nothing_has_passed


class Unreadable(Exception):
    """The file cannot be read as Python text."""


def read_source(path: Path) -> str:
    """The text of a submission.

    Raises:
      Unreadable: it is empty, too large, binary, not UTF-8 or not readable.

    """
    try:
        size = os.stat(path).st_size
        if size > MOST_BYTES:
            raise Unreadable(f"the file has {size:,} bytes; more than {MOST_BYTES:,} are not read")
        data = path.read_bytes()
    except OSError as error:
        raise Unreadable(f"the file cannot be read: {error.strerror}") from error
    if b"\0" in data:
        raise Unreadable("the file is binary, not Python text")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise Unreadable(f"line {line} is not UTF-8 text; save the file as UTF-8") from error
    if not text.strip():
        raise Unreadable("the file is empty")
    return text


def grade(order: Order) -> Verdict:
    """The verdict on one file.  Never raises for anything that the submission does."""
    from grader.engine.grading import Grading

    started = time.monotonic()
    shown = str(order.path)
    try:
        source = read_source(order.path)
    except Unreadable as error:
        check = Check("reads", "the file reads and imports", "failed", str(error), 0.0)
        return Verdict(
            order.problem.name, shown, (check,), order.seed, seconds=time.monotonic() - started
        )
    with open_children(order, 2 if order.through_xla else 1) as children:
        grading = Grading(order, source, *map(Remote, children))
        return grading.finish(grading.run(), started)


@contextmanager
def open_children(order: Order, count: int) -> Iterator[list[Child]]:
    """Fresh children that can run a submission, ended when the block is left."""
    deadline = time.monotonic() + order.timeout
    children: list[Child] = []
    try:
        for _ in range(count):
            children.append(Child(partial(worker.serve, order.problem), deadline))
        yield children
    finally:
        for child in children:
            child.close()

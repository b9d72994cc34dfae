"""Questions to the child process that runs a submission, and its answers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from grader.engine.process import Child, Lost
from grader.engine.told import printable


class SubmissionError(Exception):
    """The submission raised; ``error`` is what ``describe_error`` told of it."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error.get("message", ""))
        self.error = error

    @property
    def kind(self) -> str:
        """``exception``, ``not implemented`` or ``not an array``."""
        return str(self.error.get("kind", "exception"))


class Remote:
    """Asks a child and hands out its answers, which come in the order of the questions."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self._asked: list[Ticket] = []

    def ask(self, do: str, arrays: Sequence[np.ndarray] = (), **header: Any) -> Ticket:
        """Send a request without waiting for its answer."""
        ticket = Ticket(self, {"do": do, **header})
        self._asked.append(ticket)
        with self._told_what_was_asked():
            self.child.send({"do": do, **header}, arrays)
        return ticket

    def settle(self, ticket: Ticket) -> None:
        """Read answers until ``ticket`` has its own.

        Raises:
          Lost: the child is gone or late; ``asked`` says with what.

        """
        while ticket.answer is None:
            with self._told_what_was_asked():
                answer = self.child.receive()
            self._asked.pop(0).answer = answer

    @contextlib.contextmanager
    def _told_what_was_asked(self) -> Iterator[None]:
        try:
            yield
        except Lost as lost:
            lost.asked = self._asked[0].asked
            raise


@dataclass
class Ticket:
    """A question asked; ``result`` waits for the answer.

    ``shapes`` tells, once the answer is there, which shapes its arrays must have, where that is
    known: a judge that keeps many answers can tell beforehand how much that is.
    """

    remote: Remote
    asked: dict[str, Any]
    answer: tuple[dict[str, Any], list[np.ndarray]] | None = None
    shapes: Callable[[], list[tuple[int, ...]]] | None = None

    def result(self) -> tuple[dict[str, Any], list[np.ndarray]]:
        """The answer.

        Raises:
          SubmissionError: the submission raised while it was worked out.
          Lost: the child is gone or late, or its answer makes no sense.

        """
        self.remote.settle(self)
        assert self.answer is not None
        header, arrays = self.answer
        error = header.get("error")
        if isinstance(error, dict):
            raise SubmissionError(printable(error))
        if self.shapes is not None and [array.shape for array in arrays] != self.shapes():
            raise Lost("garbage", "the process answered with garbage")
        return header, arrays

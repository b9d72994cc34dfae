"""What a warm grader can know beforehand: the references and mutants, traced."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from grader import catalogue
from grader.engine.cases import ample
from grader.engine.grading import draws_for
from grader.engine.judge import DEFAULT_CASES, Order
from grader.engine.layout import Kinds
from grader.engine.model_checks import differentiated
from grader.engine.reference import unedited
from grader.engine.suspects import single_suspects
from grader.problem import Contract, Sizes


class Warmth:
    """Traces references at once and mutants when there is time; forks inherit them.

    Tracing starts no JAX backend, so the process stays fit to be forked.
    """

    def __init__(self) -> None:
        self._known: set[tuple[int, int, int]] = set()
        self._pending: list[Iterator[None]] = []

    def expect(self, problem: int, seed: int, cases: int | None) -> None:
        """Make the references ready for a problem."""
        key = (problem, seed, cases or DEFAULT_CASES)
        if key in self._known or problem not in catalogue.names():
            return
        self._known.add(key)
        order = Order(catalogue.problem(problem), Path(), seed, key[2])
        draws = draws_for(order)
        for contract in order.problem.contracts:
            kinds = None
            for i, draw in enumerate(draws):
                traced = unedited().trace(problem, contract, seed + i, draw.sizes, kinds)
                kinds = kinds or Kinds(traced.leaves)
                if i == ample(draws) and differentiated(order.problem, contract):
                    traced.gradient_program  # noqa: B018
            self._pending.append(self._mutants(order, draws[0].sizes, contract, kinds))

    def grow(self) -> bool:
        """Trace one more mutant; whether there may be others."""
        while self._pending:
            if next(self._pending[0], "end") is None:
                return True
            self._pending.pop(0)
        return False

    def _mutants(
        self, order: Order, sizes: Sizes, contract: Contract, kinds: Kinds | None
    ) -> Iterator[None]:
        for suspect in single_suspects(order.problem, None):
            with contextlib.suppress(Exception):  # a mutant may crash: that is its mistake
                number = order.problem.number
                suspect.solutions().trace(number, contract, order.seed, sizes, kinds)
            yield None

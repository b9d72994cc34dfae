"""What a warm grader can know beforehand: the references and mutants, traced."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from grader.engine.cases import ample
from grader.engine.grading import draws_for
from grader.engine.judge import Order
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
        self._known: dict[tuple[int, int], int] = {}
        self._explained: set[tuple[int, int]] = set()
        self._pending: list[Iterator[None]] = []

    def expect(self, order: Order) -> None:
        """Make the references ready for orders like this one."""
        key, draws = (order.problem.number, order.seed), draws_for(order)
        mutants = order.explain and key not in self._explained
        if mutants:
            self._explained.add(key)
        if self._known.get(key, 0) >= len(draws) and not mutants:
            return
        self._known[key] = len(draws)
        for contract in order.problem.contracts:
            kinds = None
            for i, draw in enumerate(draws):
                traced = unedited().trace(key[0], contract, order.seed + i, draw.sizes, kinds)
                kinds = kinds or Kinds(traced.leaves)
                if i == ample(draws) and differentiated(order.problem, contract):
                    traced.gradient_program  # noqa: B018
            if mutants:
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

"""What solutions and their mutants create is the same, traced in full or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader import catalogue
from grader.engine.grading import draws_for
from grader.engine.judge import Order
from grader.engine.suspects import AS_IT_IS, single_suspects
from grader.engine.traced import sizes_created


@pytest.mark.parametrize("number", [39, 47])
def test_what_is_created_is_foreseen_or_read_from_a_trace_that_is_there(number: int) -> None:
    problem = catalogue.problem(number)
    (contract,) = problem.contracts
    sizes = draws_for(Order(problem, Path()))[1].sizes  # with several layers
    creating = [s for s in single_suspects(problem, "parameters") if s.check == "parameters"]
    assert creating
    for suspect in [AS_IT_IS, *creating]:
        solutions = suspect.solutions()
        traced = solutions.trace(number, contract, 0, sizes)
        with solutions.active():
            function = getattr(solutions.module(number), contract.function)
            foreseen = sizes_created(contract, function, 0, sizes)
        assert traced.sizes_created == foreseen
        assert solutions.created(number, contract, 0, sizes) is traced.sizes_created


def test_only_mistakes_that_can_show_in_a_function_are_suspected_there() -> None:
    problem = catalogue.problem(50)

    def suspected(function: str) -> set[str]:
        singles = single_suspects(problem, "numbers", function)
        return {pitfall.id for single in singles for _, pitfall in single.pitfalls}

    assert {"mask-nowhere", "clip-last", "no-warmup"} <= suspected("make_optimizer")
    assert suspected("train_step").isdisjoint({"mask-nowhere", "clip-last", "no-warmup"})
    assert "double-softmax" in suspected("train_step") - suspected("make_optimizer")
    assert suspected("") == {pitfall.id for pitfall in problem.pitfalls}

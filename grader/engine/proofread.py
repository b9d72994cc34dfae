"""Read a problem for its author: what the spec says of the solution, and the solution does not."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from grader import catalogue
from grader.engine.cases import NoDraws, draw_arrays, draw_sizes, draw_weights
from grader.engine.reference import (
    EditDoesNotApply,
    apply_edits,
    edits_by_problem,
    solution_text,
    unedited,
)
from grader.faults import BrokenProblem
from grader.problem import Contract, Pitfall, Problem, Variant

_DRAWS = 3
"""Over so many draws of sizes a stage has to come up once."""


def proofread(number: int) -> Iterator[str]:
    """Every misfit as a line with the name of the problem; none of a sound problem."""
    try:
        problem = catalogue.problem(number)
        for misfit in _misfits(problem):
            yield f"{problem.name}: {misfit}"
    except (BrokenProblem, NoDraws) as error:
        yield str(error)


def _misfits(problem: Problem) -> Iterator[str]:
    yield from _edits_without_place(problem)
    seen: set[str | None] = set()
    for contract in problem.contracts:
        count, stages = _outputs_and_stages(problem, contract)
        if count != len(contract.outputs):
            named = f"outputs names {len(contract.outputs)} ({', '.join(contract.outputs)})"
            yield f"{contract.function}: {named}; the solution returns {count}"
        seen |= stages
    solution = catalogue.solution_path(problem.number).name
    for stage in problem.stages:
        if stage.name not in seen:
            yield f"nothing is marked checkpoint_name(…, {stage.name!r}) in {solution}"


def _edits_without_place(problem: Problem) -> Iterator[str]:
    items: list[Pitfall | Variant] = [*problem.pitfalls, *problem.variants]
    for item in items:
        for owner, edits in edits_by_problem(problem.number, item.edits).items():
            solution = catalogue.solution_path(owner).name
            try:
                apply_edits(solution_text(owner), edits, solution)
            except EditDoesNotApply as error:
                yield f"{item.id}: {error}"


def _outputs_and_stages(problem: Problem, contract: Contract) -> tuple[int, set[str | None]]:
    """How many arrays the reference returns, and the stages that come up on the way."""
    generator = np.random.default_rng(0)
    stages: set[str | None] = set()
    for draw in draw_sizes(problem, generator, _DRAWS):
        traced = unedited().trace(problem.number, contract, 0, draw.sizes)
        weights = draw_weights(traced.leaves, generator, "ordinary")
        arrays = draw_arrays(contract, draw.sizes, generator)
        _, seen = traced.run_recorded(weights, arrays)
        stages |= {value.stage for value in seen}
    return len(traced.outputs), stages

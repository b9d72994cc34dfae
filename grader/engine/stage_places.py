"""Where a submission and a mutant part, in terms of the stages that problems declare."""

from __future__ import annotations

from collections.abc import Sequence

from grader.engine.stages import StageValue
from grader.problem import Problem


def left(stages: Sequence[StageValue], still_open: Sequence[int]) -> int:
    """How many stages there are from where the two part to the end."""
    return len(stages) - still_open[0] if still_open else 0


def _own(problem: Problem, stages: Sequence[StageValue]) -> list[int]:
    """Places of the stages that this problem itself declares."""
    names = {stage.name for stage in problem.stages}
    return [i for i, stage in enumerate(stages) if stage.name in names]


def parted_in(
    problem: Problem, stages: Sequence[StageValue], still_open: Sequence[int]
) -> str | None:
    """Where the two part, in terms of the stages of one of the problems involved."""
    own = _own(problem, stages)
    return next((stages[i].name for i in still_open if i in own), None)


def between(
    problem: Problem, stages: Sequence[StageValue], still_open: Sequence[int]
) -> frozenset[str]:
    """Names of the stages that lead to where the two part in terms of the problem itself."""
    own = _own(problem, stages)
    after = next((i for i in own if i in still_open), None)
    if after is None:
        return frozenset()
    first = max((i + 1 for i in own if i < after), default=0)
    return frozenset(stage.name for stage in stages[first : after + 1])

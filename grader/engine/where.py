"""Where submission and reference part on one case, and how the value there differs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from grader.engine.align import Case
from grader.engine.compare import close
from grader.engine.difference import is_definite, kind_of_difference
from grader.engine.entering import given_otherwise
from grader.engine.findings import Trial
from grader.engine.layout import Leaf
from grader.engine.nearest import Difference, Nearest, comparable
from grader.engine.pairing import Choices
from grader.engine.remote_trace import made_of, recorded
from grader.engine.stages import (
    StageFinding,
    StageValue,
    find_stages,
    marks,
    needed_for,
    open_stages,
    stage_values,
    with_rows_told,
)
from grader.engine.transplant import Mismatch, match
from grader.problem import Problem, Stage

_OVERFLOW = "beyond 3.4e38, where float32 ends (exp(x) is, from x = 88.8 on)"


@dataclass(frozen=True)
class Where:
    """The stages of a problem, each with whether it came up; where the two part; how.

    ``parts`` is the place of the first stage that did not come up (None: all did); ``inside``
    are the finer stages that lead to it; ``follows`` is whether all did and a result differs that
    is none of them.
    """

    stages: tuple[StageFinding, ...]
    parts: int | None
    inside: tuple[StageFinding, ...]
    difference: Difference | None
    follows: bool = False


def where_they_part(
    problem: Problem,
    stages: Sequence[Stage],
    trial: Trial,
    case: Case,
    choices: Choices,
    leaves: Sequence[Leaf],
) -> Where | None:
    """Compare every value of a submission with the reference's on one case.

    Args:
      problem: the problem; its own stages are shown.
      stages: those and the stages of its blocks.
      trial: both traces.
      case: weights and inputs of the reference.
      choices: how the parameters are paired.
      leaves: those of the reference, each with the use by which it is paired.

    Returns:
      None when the parameters do not match.

    """
    reference, submission = trial.reference, trial.submission
    matched = match(leaves, submission.pairable, choices)
    if isinstance(matched, Mismatch):
        return None
    expected, seen = reference.run_recorded(case.weights, case.arrays)
    weights = matched.weights(case.weights)
    ticket = submission.start_record(weights, case.arrays, origins=True)
    outputs, values, lines = recorded(ticket)
    wanted = stage_values(stages, seen, reference.stage_ancestors)
    findings = find_stages(wanted, values, lines, marks(values))
    needed = needed_for(reference.output_ancestors, expected, outputs)
    still_open = open_stages(wanted, findings, needed)
    names = {stage.name for stage in problem.stages}
    own = [i for i, stage in enumerate(wanted) if stage.name in names]
    parts = next((i for i in own if i in still_open), None)
    search = Nearest([item.value for item in seen], values, lines)
    search.follow_back(made_of(ticket, len(values)), expected, outputs)
    last = -1 if parts is None else max((i for i in own if i < parts), default=-1)
    inside = [] if parts is None else list(range(last + 1, parts))
    finer = next((i for i in inside if i in still_open), None)
    first = finer if finer is not None else parts
    given = None if first is None else given_otherwise(seen, wanted, findings, first, values)
    before = [StageFinding(given.title, found=False)] if given is not None else []
    here = [search.difference(wanted[i]) for i in (finer, parts) if i is not None]
    if given is not None:
        here.insert(0, search.difference(given))
    earlier = "" if first is None else wanted[first].given
    if earlier:  # no line of this call is to blame
        before, here = [StageFinding(earlier, found=False)], []
    # Where several did not come up, the mistake is at the one whose difference has a name; but a
    # stage that is skipped elsewhere without harm is only computed in another way.
    skipped = {
        stage.name
        for i, stage in enumerate(wanted)
        if not findings[i].found and i not in still_open
    }
    open_later = [i for i in own if i in still_open and i != parts]
    later = [search.difference(wanted[i]) for i in open_later if wanted[i].name not in skipped]
    known = [
        difference
        for difference in (
            _not_finite(values, lines, outputs),
            *here,
            *(d for d in later if d and is_definite(d.words)),
            _of_outputs(trial, expected, outputs, search),
        )
        if difference is not None
    ]
    named = next((difference for difference in known if difference.words), None)
    if not earlier and (named is None or not is_definite(named.words)):
        named = search.first_astray() or named
    shown = with_rows_told(findings, wanted, values)
    return Where(
        tuple(shown[i] for i in own),
        None if parts is None else own.index(parts),
        (
            *before,
            *(shown[i] for i in inside),
        ),
        named or next(iter(known), None),
        parts is None and _differs_beyond(wanted, expected, outputs),
    )


def _differs_beyond(
    stages: Sequence[StageValue], expected: Sequence[np.ndarray], outputs: Sequence[np.ndarray]
) -> bool:
    """Whether a result has other numbers and is neither a stage nor a stack of stages."""

    def is_stage(value: np.ndarray) -> bool:
        if any(close(value, stage.value) for stage in stages):
            return True
        return value.ndim > 0 and bool(value.size) and all(map(is_stage, value))

    return any(
        ours.shape == theirs.shape and not close(theirs, ours) and not is_stage(ours)
        for ours, theirs in zip(expected, outputs, strict=False)
    )


def _not_finite(
    values: Sequence[np.ndarray], lines: Sequence[int], outputs: Sequence[np.ndarray]
) -> Difference | None:
    """Where the first NaN or overflow comes up, when something not finite reaches the result.

    A negative infinity may be meant, as in a mask.
    """
    if all(value.dtype.kind != "f" or np.isfinite(value).all() for value in outputs):
        return None
    for value, line in zip(values, lines, strict=True):
        if np.isnan(value).any():
            return Difference("the first NaN", line, f"not finite: NaN{_in_whole_rows(value)}")
        if np.isposinf(value).any():
            return Difference("the first infinity", line, _OVERFLOW)
    return None


def _in_whole_rows(value: np.ndarray) -> str:
    """What it suggests that some rows are NaN, and these from end to end."""
    nan = np.isnan(value)
    if value.ndim < 2 or nan.all() or not (nan.all(axis=-1) == nan.any(axis=-1)).all():
        return ""
    return " in whole rows (0/0 gives that, and nn.Embed for an index beyond its table)"


def _of_outputs(
    trial: Trial, expected: Sequence[np.ndarray], outputs: Sequence[np.ndarray], search: Nearest
) -> Difference | None:
    for output, ours, theirs in zip(trial.reference.outputs, expected, outputs, strict=False):
        words = kind_of_difference(theirs, ours) if comparable(theirs, ours) else ""
        if words:
            for each in ("step", "update"):
                if output.label.endswith(f" each {each}"):
                    words = words.replace("row", each)
            return Difference(output.label, search.line_of(theirs), words)
    return None

"""The smallest failing case, and a line that shows it again."""

from __future__ import annotations

import json
import re
import shlex
import time
from pathlib import Path
from typing import Any

import numpy as np

from grader.catalogue import PROBLEMS
from grader.engine.align import Case
from grader.engine.cases import (
    ALL_STYLES,
    Draw,
    draw_arrays,
    draw_weights,
    shrunk,
)
from grader.engine.compare import close, worst
from grader.engine.contract_judge import ContractJudge
from grader.engine.remote import SubmissionError
from grader.engine.transplant import Mismatch, match
from grader.verdict import Counterexample

SECONDS = 0.5
"""For the smaller cases; half of it where the search for the mistake took all of its time."""
_PLAIN_DIFFERENCE = 1e-3
_SHOWN = 64


def smallest(judge: ContractJudge, path: Path, seconds: float) -> Counterexample | None:
    """Shrink the failing case of a contract over its hyperparameters, as far as time allows.

    ``path`` is the submission, for the command that shows the case again.
    """
    failing = judge.findings.failing
    if failing is None or judge.findings.failed not in ("numbers", "finite"):
        return None
    trial, number = failing
    best = _on(judge, trial.draw, trial.seed, number)
    end = time.monotonic() + seconds
    improved = best is not None
    while improved and time.monotonic() < end:
        improved = False
        assert best is not None
        for draw in shrunk(judge.problem, best[0]):
            if time.monotonic() > end:
                break
            found = _on(judge, draw, trial.seed, number)
            if found is not None:
                best, improved = found, True
                break
    if best is None:
        return None
    draw, case, actual, index = best
    return _described(judge, path, draw, trial.seed, number, case, actual, index)


_Found = tuple[Draw, Case, list[np.ndarray], int]


def _on(judge: ContractJudge, draw: Draw, seed: int, style: int) -> _Found | None:
    """The case on ``draw`` when the submission fails there plainly, else None."""
    try:
        case, actual = run_case(judge, draw, seed, style)
    except (SubmissionError, ValueError):
        return None
    for index, (value, expected) in enumerate(zip(actual, case.expected, strict=False)):
        if not close(value, expected, _PLAIN_DIFFERENCE):
            return draw, case, actual, index
    for index, (value, expected) in enumerate(zip(actual, case.expected, strict=False)):
        if not close(value, expected):
            return draw, case, actual, index
    return None


def run_case(
    judge: ContractJudge, draw: Draw, seed: int, style: int
) -> tuple[Case, list[np.ndarray]]:
    """Reference and submission on one case.

    Raises:
      ValueError: the parameters do not match, so that there is nothing to compare.

    """
    reference = judge.reference(draw, seed)
    submission = judge.submitted(draw, seed, f"case {time.monotonic_ns()}")
    generator = np.random.default_rng([seed, style, judge.index])
    weights = draw_weights(reference.leaves, generator, ALL_STYLES[style])
    arrays = draw_arrays(judge.contract, draw.sizes, generator, ALL_STYLES[style])
    case = Case(weights, arrays, reference.run(weights, arrays))
    matched = match(reference.leaves, submission.pairable, judge.findings.choices)
    if isinstance(matched, Mismatch):
        raise ValueError("the parameters do not match")
    return case, submission.run(matched.weights(weights), arrays)


def _described(
    judge: ContractJudge,
    path: Path,
    draw: Draw,
    seed: int,
    style: int,
    case: Case,
    actual: list[np.ndarray],
    index: int,
) -> Counterexample:
    told: dict[str, Any] = {**draw.fields, "seed": seed, "style": ALL_STYLES[style]}
    if len(judge.problem.contracts) > 1:
        told["function"] = judge.contract.function
    expected, value = case.expected[index], actual[index]
    same_shape = expected.shape == value.shape
    gap, where = worst(value, expected) if same_shape else (None, ())
    specs = judge.contract.arrays(draw.sizes)
    outputs = judge.contract.outputs
    return Counterexample(
        function=judge.contract.function,
        output=outputs[index] if index < len(outputs) else f"result {index + 1}",
        case=told,
        shapes={name: list(spec.shape) for name, spec in specs.items()},
        expected=_numbers(expected),
        actual=_numbers(value),
        largest_difference=gap if gap is None or np.isfinite(gap) else None,
        index=list(where),
        command=f"python -m grader {_target(judge, path)} --case {shlex.quote(json.dumps(told))}",
    )


def _target(judge: ContractJudge, path: Path) -> str:
    """How to name the submission on the command line."""
    number = judge.problem.number
    if path.resolve().parent == PROBLEMS:
        return str(number)
    own_name = re.match(rf"{number}(\D|$)", path.name)
    return shlex.quote(str(path)) + ("" if own_name else f" --problem {number}")


def _numbers(value: np.ndarray) -> list[Any]:
    """The first numbers of an array, to six digits; what is not finite as a word."""
    flat = np.asarray(value).reshape(-1)[:_SHOWN].tolist()
    return [
        float(f"{x:.6g}")
        if isinstance(x, float) and np.isfinite(x)
        else (x if isinstance(x, int) else str(x))
        for x in flat
    ]

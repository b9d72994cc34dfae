"""Settle, on one case, the choices that shapes alone leave open.

A submission that is right agrees with the reference under one of the possible pairings and
layouts.  They are tried group by group, in the order in which the weights are used, keeping
what makes more of the reference's intermediate values appear in the submission.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from grader.engine.compare import all_close
from grader.engine.remote import RemoteTrace
from grader.engine.stages import found_among, marks
from grader.engine.traced import Traced
from grader.engine.transplant import DEFAULT, Choices, Match, Mismatch, choice_groups, match


@dataclass(frozen=True)
class Case:
    """Weights of the reference, inputs, and what the reference makes of them."""

    weights: list[np.ndarray]
    arrays: list[np.ndarray]
    expected: list[np.ndarray]


@dataclass(frozen=True)
class Alignment:
    """The best choices found, and whether the submission's outputs equal the reference's."""

    choices: Choices
    equal: bool


def settle(cases: Sequence[tuple[Traced, RemoteTrace, Case]]) -> Choices:
    """Choices that serve all the cases given, as far as there are any.

    One draw may leave layouts alike (with one channel the order of the pixels means nothing),
    so what the first case decides is looked at again on the next.
    """
    choices = Choices()
    for reference, submission, case in cases:
        aligned = align(reference, submission, case, choices)
        if isinstance(aligned, Alignment):
            choices = aligned.choices
    return choices


def align(
    reference: Traced, submission: RemoteTrace, case: Case, start: Choices = DEFAULT
) -> Alignment | Mismatch:
    """Find the choices under which the submission follows the reference furthest."""
    first = match(reference.leaves, submission.leaves, start)
    if isinstance(first, Mismatch):
        return first
    if all_close(submission.run(first.weights(case.weights), case.arrays), case.expected):
        return Alignment(start, True)
    return _search(reference, submission, case, first, start)


def _search(
    reference: Traced, submission: RemoteTrace, case: Case, first: Match, best: Choices
) -> Alignment:
    groups = choice_groups(reference.leaves, submission.leaves, first)
    if not groups:
        return Alignment(best, False)
    _, seen = reference.run_recorded(case.weights, case.arrays)
    wanted = marks([item.value for item in seen])
    score, equal = _score(reference, submission, case, best, wanted)
    for group in groups:
        for option in group.options:
            if equal:
                return Alignment(best, True)
            candidate = option(best)
            found, same = _score(reference, submission, case, candidate, wanted)
            if same or found > score:
                best, score, equal = candidate, found, same
    return Alignment(best, equal)


def _score(
    reference: Traced, submission: RemoteTrace, case: Case, choices: Choices, wanted: np.ndarray
) -> tuple[int, bool]:
    matched = match(reference.leaves, submission.leaves, choices)
    if isinstance(matched, Mismatch):
        return -1, False
    outputs, values, _ = submission.record(matched.weights(case.weights), case.arrays)
    found = found_among(wanted, marks(values))
    return int(found.sum()), all_close(outputs, case.expected)

"""Settle, on one case, the choices that shapes alone leave open.

A submission that is right agrees with the reference under one of the possible pairings and
layouts.  They are tried group by group, in the order in which the weights are used, keeping
what makes more of the reference's intermediate values appear in the submission.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from grader.engine.choices import choice_groups
from grader.engine.compare import all_close
from grader.engine.entering import given_otherwise
from grader.engine.pairing import DEFAULT, Choices
from grader.engine.remote import Ticket
from grader.engine.remote_trace import RemoteTrace, recorded
from grader.engine.stages import find_stages, found_among, marks, parting, stage_values
from grader.engine.traced import Traced
from grader.engine.transplant import Match, Mismatch, match
from grader.problem import Stage

_END = 10**9
_AHEAD = 1
"""How many questions a child has while the answer before is looked at."""


@dataclass(frozen=True)
class Case:
    """Weights of the reference, inputs, and what the reference makes of them."""

    weights: list[np.ndarray]
    arrays: list[np.ndarray]
    expected: list[np.ndarray]


@dataclass(frozen=True)
class Alignment:
    """The best choices found, and whether the submission's outputs equal the reference's.

    ``left_out`` is whether choices were not tried because what they concern is given wrong
    values already.
    """

    choices: Choices
    equal: bool
    left_out: bool = False


def settle(
    cases: Sequence[tuple[Traced, RemoteTrace, Case]],
    stages: Sequence[Stage],
    start: Choices,
    thorough: bool = True,
) -> Alignment:
    """The choices that serve all the cases given, as far as there are any.

    One draw may leave layouts alike (with one channel the order of the pixels means nothing),
    so what the first case decides is looked at again on the next.
    """
    choices, equal, left_out = start, True, False
    for reference, submission, case in cases:
        aligned = align(reference, submission, case, stages, choices, thorough)
        equal = equal and isinstance(aligned, Alignment) and aligned.equal
        if isinstance(aligned, Alignment):
            choices, left_out = aligned.choices, left_out or aligned.left_out
            matched = match(reference.leaves, submission.pairable, choices)
            if isinstance(matched, Match):
                # What fits in one way only here may fit in several on another draw.
                known, used = choices.orders, matched.orders_used()
                more = {n: o for n, o in used.items() if len(o) > len(known.get(n, ()))}
                choices = replace(choices, orders={**known, **more})
                if aligned.equal:
                    choices = with_tables_shown(choices, reference, submission)
    return Alignment(choices, equal, left_out)


def with_tables_shown(choices: Choices, reference: Traced, submission: RemoteTrace) -> Choices:
    """The same for other draws, where tables are likely to be split as they are on this one."""
    here = match(reference.leaves, submission.pairable, choices)
    assert isinstance(here, Match)
    shown = replace(choices, tables=here.tables())
    first = replace(shown, parts=0)
    again = match(reference.leaves, submission.pairable, first)
    same = isinstance(again, Match) and set(again.pieces) == set(here.pieces)
    return first if same else shown


def align(
    reference: Traced,
    submission: RemoteTrace,
    case: Case,
    stages: Sequence[Stage],
    start: Choices = DEFAULT,
    thorough: bool = True,
) -> Alignment | Mismatch:
    """Find the choices under which the submission follows the reference furthest.

    ``thorough`` is to try those, too, that concern weights which are given wrong values already:
    seldom of use, as where a right answer computes in another way, and slow.
    """
    first = match(reference.leaves, submission.pairable, start)
    if isinstance(first, Mismatch):
        return first
    if all_close(submission.run(first.weights(case.weights), case.arrays), case.expected):
        return Alignment(start, True)
    return _Search(reference, submission, case, stages).run(first, start, thorough)


@dataclass(frozen=True)
class _Trial:
    """What some choices lead to: how many of the reference's values come up, and which stages."""

    found: int
    equal: bool
    open_from: int
    open_to: int


class _Search:
    def __init__(
        self, reference: Traced, submission: RemoteTrace, case: Case, stages: Sequence[Stage]
    ) -> None:
        self.reference = reference
        self.submission = submission
        self.case = case
        _, self._seen = reference.run_recorded(case.weights, case.arrays)
        self._wanted = marks([item.value for item in self._seen])
        self._stages = stage_values(stages, self._seen, reference.stage_ancestors)
        declared = {stage.name for stage in stages}
        self._clock = [when for name, when in reference.stage_clock if name in declared]
        self._tried: set[tuple[bytes, ...]] = set()

    def run(self, first: Match, best: Choices, thorough: bool) -> Alignment:
        """Try the groups that matter between the last stage found and the next, then go on.

        A stage may never be there as one value (tokens in two streams): where no group matters
        before it, those behind it are tried.
        """
        groups = choice_groups(self.reference.leaves, self.submission.pairable, first)
        here = next(self._try([best]))[1] if groups else None
        while here is not None and not here.equal:
            before = here
            for group in groups:
                if group.uses and not any(here.open_from < u <= here.open_to for u in group.uses):
                    continue
                # The options of one group decide the same, so each replaces the one before.
                for option, there in self._try(option(best) for option in group.options):
                    if there.equal:
                        return Alignment(option, True)
                    if there.found > here.found:
                        best, here = option, there
            if (here.found, here.open_from) == (before.found, before.open_from):
                later = [u for group in groups for u in group.uses if u > here.open_from]
                if not later or min(later) <= here.open_to:
                    break
                if not thorough:
                    return Alignment(best, False, left_out=True)
                here = replace(here, open_to=_END)
        return Alignment(best, here is not None and here.equal)

    def _try(self, options: Iterable[Choices]) -> Iterator[tuple[Choices, _Trial]]:
        """What the options lead to that pair all parameters, one after the other.

        While one is looked at, the child works on the next.  What was tried before led nowhere.
        """
        asked: deque[tuple[Choices, Ticket]] = deque()
        for choices in options:
            matched = match(self.reference.leaves, self.submission.pairable, choices)
            if isinstance(matched, Match):
                weights = matched.weights(self.case.weights)
                key = tuple(weight.tobytes() for weight in weights)
                if key in self._tried:
                    continue
                self._tried.add(key)
                ticket = self.submission.start_record(weights, self.case.arrays)
                asked.append((choices, ticket))
            if len(asked) > _AHEAD:
                done, ticket = asked.popleft()
                yield done, self._trial(*recorded(ticket))
        for done, ticket in asked:
            yield done, self._trial(*recorded(ticket))

    def _trial(
        self, outputs: list[np.ndarray], values: list[np.ndarray], lines: list[int]
    ) -> _Trial:
        offered = marks(values)
        found = int(found_among(self._wanted, offered).sum())
        equal = all_close(outputs, self.case.expected)
        return _Trial(found, equal, *self._open_interval(values, lines, offered))

    def _open_interval(
        self, values: list[np.ndarray], lines: list[int], offered: np.ndarray
    ) -> tuple[int, int]:
        """Where to look, on the clock of the reference.

        From the last state of the whole sequence that came up (what lies before it is settled)
        to the first stage that did not; nowhere, where what enters that stage is wrong already.
        """
        if len(self._clock) != len(self._stages):
            return -1, _END
        findings = find_stages(self._stages, values, lines, offered)
        after = parting(self._stages, findings)
        settled = [
            when
            for when, stage, finding in zip(self._clock, self._stages, findings, strict=True)
            if stage.rows and finding.found
        ]
        last = max(settled, default=-1)
        if after is None:
            return last, _END
        if given_otherwise(self._seen, self._stages, findings, after, values) is not None:
            return last, last  # nothing helps before what enters that stage is right
        return last, self._clock[after]

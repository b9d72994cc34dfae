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
from grader.engine.origins import first_astray
from grader.engine.pairing import Choices
from grader.engine.remote import made_of, recorded
from grader.engine.stages import (
    StageFinding,
    StageValue,
    find_stages,
    found_among,
    marks,
    needed_for,
    open_stages,
    stage_values,
)
from grader.engine.transplant import Mismatch, match
from grader.problem import Problem, Stage

_ALIKE = 0.3
"""A value whose angle to the expected one has a smaller cosine is not what was meant by it."""
_ABOUT = 0.75
_ASTRAY = "the first value that the reference does not have"
_OVERFLOW = "beyond 3.4e38, where float32 ends (exp(x) is, from x = 88.8 on)"


@dataclass(frozen=True)
class Difference:
    """The submission's value that comes nearest to what should have come up.

    Attributes:
      what: title of the stage, or name of the output.
      line: the submission's line that made it (0: not known).
      words: how it differs, completing "it is …"; empty when nothing simple fits.

    """

    what: str
    line: int
    words: str


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
    search = _Nearest([item.value for item in seen], values, lines)
    last = -1 if parts is None else max((i for i in own if i < parts), default=-1)
    inside = [] if parts is None else list(range(last + 1, parts))
    finer = next((i for i in inside if i in still_open), None)
    first = finer if finer is not None else parts
    given = None if first is None else given_otherwise(seen, wanted, findings, first, values)
    before = [StageFinding(given.title, found=False)] if given is not None else []
    here = [search.difference(wanted[i]) for i in (finer, parts) if i is not None]
    if given is not None:
        here.insert(0, search.difference(given))
    elsewhere = first is not None and bool(wanted[first].given)
    if elsewhere and first is not None:  # no line of this call is to blame
        before, here = [StageFinding(wanted[first].given, found=False)], []
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
    if not elsewhere and (named is None or not is_definite(named.words)):
        named = search.astray(made_of(ticket, len(values)), expected, outputs) or named
    return Where(
        tuple(findings[i] for i in own),
        None if parts is None else own.index(parts),
        (
            *before,
            *(findings[i] for i in inside),
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
    return " in whole rows (nn.Embed gives that for an index beyond its table, and 0/0 does)"


def _of_outputs(
    trial: Trial, expected: Sequence[np.ndarray], outputs: Sequence[np.ndarray], search: _Nearest
) -> Difference | None:
    for output, ours, theirs in zip(trial.reference.outputs, expected, outputs, strict=False):
        words = kind_of_difference(theirs, ours) if _comparable(theirs, ours) else ""
        if words:
            for each in ("step", "update"):
                if output.label.endswith(f" each {each}"):
                    words = words.replace("row", each)
            return Difference(output.label, search.line_of(theirs), words)
    return None


def _comparable(theirs: np.ndarray, ours: np.ndarray) -> bool:
    if theirs.dtype.kind != "f" or ours.dtype.kind != "f":
        return False
    return theirs.shape != ours.shape or not close(theirs, ours)


class _Nearest:
    """Looks among the submission's values for the one that stands in place of an expected one."""

    def __init__(
        self, right: Sequence[np.ndarray], values: Sequence[np.ndarray], lines: Sequence[int]
    ) -> None:
        self.values = values
        self.lines = lines
        self._right = found_among(marks(values), marks([*right, *_heads(right)]))
        self._last_right = max(map(int, np.flatnonzero(self._right)), default=-1)

    def line_of(self, value: np.ndarray) -> int:
        """The line that made a value."""
        same = [
            line
            for other, line in zip(self.values, self.lines, strict=True)
            if line and other.shape == value.shape and np.array_equal(other, value, equal_nan=True)
        ]
        return same[0] if same else 0

    def difference(self, stage: StageValue) -> Difference | None:
        """The value that differs from a stage's in a way that has a name, else the nearest.

        Values that come up in the reference too are right for what they are; one of them stands
        in place of ``expected`` only when it is nearer than any of the submission's own.
        """
        own = [i for i in range(len(self.values)) if not self._right[i] and self.lines[i]]
        what, expected = stage.title, self._as_kept(stage.value, own)
        likeness = {i: _likeness(self.values[i], expected) for i in own}
        most = max(likeness.values(), default=0.0)
        named = self._named(own, expected)
        if named is None:
            known = [i for i in range(len(self.values)) if self._right[i] and self.lines[i]]
            known = [i for i in known if _likeness(self.values[i], expected) > most]
            named = self._named(known, expected)
        if named is not None:
            return Difference(what, self.lines[named[0]], named[1])
        if most < _ALIKE:
            return None
        # Layers further on may resemble it as well: the first of the most similar ones, of those
        # behind the last right value where there are any. What lies before leads to right ones.
        similar = [i for i in own if likeness[i] >= _ABOUT * most]
        behind = [i for i in similar if i > self._last_right]
        return Difference(what, self.lines[(behind or similar)[0]], "")

    def astray(
        self,
        made_of: Sequence[Sequence[int]] | None,
        expected: Sequence[np.ndarray],
        outputs: Sequence[np.ndarray],
    ) -> Difference | None:
        """The line that makes the first value that is not right of such as are, if it is one."""
        if made_of is None:
            return None
        ends = [
            place
            for ours, theirs in zip(expected, outputs, strict=False)
            if _comparable(theirs, ours)
            for place, value in enumerate(self.values)
            if value.shape == theirs.shape and np.array_equal(value, theirs, equal_nan=True)
        ]
        lines = {
            self.lines[place] for place in first_astray(self._right.tolist(), made_of, ends[-1:])
        }
        if len(lines) != 1 or 0 in lines:
            return None
        return Difference(_ASTRAY, lines.pop(), "made of values that it has")

    def _as_kept(self, expected: np.ndarray, places: Sequence[int]) -> np.ndarray:
        """A stage, or its first head where each head is kept on its own."""
        sizes = {self.values[i].size for i in places}
        if expected.ndim < 3 or expected.size in sizes:
            return expected
        heads = [expected.take(0, axis) for axis in range(expected.ndim)]
        parts = [*heads, *(head.T for head in heads)]  # with keys taken for queries

        def likeness(part: np.ndarray) -> float:
            return max((_likeness(self.values[i], part) for i in places), default=0.0)

        return max(parts, key=likeness)

    def _named(self, places: Sequence[int], expected: np.ndarray) -> tuple[int, str] | None:
        """The latest of some values whose difference has a name, definite names first."""
        vague: tuple[int, str] | None = None
        for i in reversed(places):
            value = self.values[i]
            if value.size < 2 or not np.isfinite(value).all() or not np.any(value):
                continue
            words = kind_of_difference(value, expected)
            if is_definite(words):
                return i, words
            if words:
                vague = vague or (i, words)
        return vague


def _heads(values: Sequence[np.ndarray]) -> list[np.ndarray]:
    """What is right for one head alone."""
    several = [value for value in values if value.ndim > 2]
    return [part for v in several for axis in range(v.ndim) for part in np.moveaxis(v, axis, 0)]


def _likeness(value: np.ndarray, expected: np.ndarray) -> float:
    """Cosine of the angle between two arrays of equal size, taken as vectors; else 0."""
    if value.size != expected.size or value.size < 2 or not np.isfinite(value).all():
        return 0.0
    candidate = value.reshape(expected.shape)
    squeezed = value.reshape([n for n in value.shape if n != 1])
    if expected.ndim == 2 and squeezed.shape == expected.shape[::-1] != expected.shape:
        candidate = squeezed.T
    lengths = float(np.linalg.norm(candidate) * np.linalg.norm(expected))
    return float(np.vdot(candidate, expected)) / lengths if lengths else 0.0

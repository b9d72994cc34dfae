"""Find the reference's stages among the values that came up in a submission."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np

from grader.engine.compare import close
from grader.engine.traced import Intermediate
from grader.problem import Stage

_MARK_TOLERANCE = 1e-7
_ROUNDING = 1e-12
_PLAINLY = 1e-4
"""How far a number may be from 0 or 1 to count as that."""
_TELLING = 0.5
"""Share of neighbours in size that have to differ, for equal numbers in another order to count."""


@dataclass(frozen=True)
class StageValue:
    """A stage of the reference on one case.

    ``rows`` is whether its rows may move, ``above`` the places (in the list of all stages) of
    those that it depends on, ``number`` its place among all that have a name, ``given`` what of an
    earlier call it is computed from, ``negated`` whether the other sign will do.
    """

    name: str
    title: str
    value: np.ndarray
    rows: bool
    above: frozenset[int]
    number: int
    given: str = ""
    negated: bool = False


@dataclass(frozen=True)
class StageFinding:
    """Whether a stage came up in the submission, and in which line."""

    title: str
    found: bool
    line: int = 0


def stage_values(
    stages: Sequence[Stage], seen: Sequence[Intermediate], ancestors: Sequence[frozenset[int]]
) -> list[StageValue]:
    """The declared stages among the reference's intermediates, in order of computation.

    ``ancestors`` tells for every named value which named values it depends on.
    """
    declared = {stage.name: stage for stage in stages}
    named = [item for item in seen if item.stage is not None]
    if len(ancestors) != len(named):  # something is repeated: take each to depend on all before
        ancestors = [frozenset(range(i)) for i in range(len(named))]
    place: dict[int, int] = {}
    counts: Counter[str] = Counter()
    values: list[StageValue] = []
    for i, item in enumerate(named):
        if item.stage in declared:
            stage = declared[item.stage]
            counts[stage.name] += 1
            title = stage.title.format(i=counts[stage.name])
            above = frozenset(place[j] for j in ancestors[i] if j in place)
            place[i] = len(values)
            given = stage.given.format(i=counts[stage.name] - 1) if counts[stage.name] > 1 else ""
            about = stage.rows, above, i, given, stage.negated
            values.append(StageValue(stage.name, title, item.value, *about))
    return values


def marks(values: Sequence[np.ndarray]) -> np.ndarray:
    """Three numbers for each value that no reshape and no reordering changes: shape (n, 3)."""
    with np.errstate(all="ignore"):
        rows = [(v.size, v.sum(), np.vdot(v, v)) for v in values]
    return np.array(rows, np.float64).reshape(-1, 3)


def marks_of_rows(values: Sequence[np.ndarray]) -> np.ndarray:
    """The `marks` of each row, along the last axis, of values with more: shape (n, 3)."""
    rows = [np.zeros((0, 3))]
    tables = [v.reshape(-1, v.shape[-1]) for v in values if v.ndim > 1 and v.size]
    with np.errstate(all="ignore"):
        for v in tables:
            sizes = np.full(len(v), v.shape[1], np.float64)
            rows.append(np.stack([sizes, v.sum(axis=1), np.vecdot(v, v)], axis=1))
    return np.concatenate(rows)


def found_among(wanted: np.ndarray, offered: np.ndarray) -> np.ndarray:
    """For each row of ``wanted`` (marks) whether ``offered`` has an equal one."""
    found = np.zeros(len(wanted), bool)
    for size in np.intersect1d(wanted[:, 0], offered[:, 0]):
        ours = wanted[:, 0] == size
        found[ours] = _equal_marks(wanted[ours], offered[offered[:, 0] == size])
    return found


def _equal_marks(wanted: np.ndarray, offered: np.ndarray) -> np.ndarray:
    """The same for marks of values that all have the same size.

    Sums are compared only where the sums of squares are equal: from thousands of single numbers
    by thousands few pairs are left.  And so are the squares of the distances from the mean: all
    that is nearly even, such as probabilities of which none stands out, has nearly the same sums.
    """
    offered = offered[np.isfinite(offered).all(axis=1)]
    pairs = np.unique(offered[:, 2] + 1j * offered[:, 1])  # in the order of the squares
    found = np.zeros(len(wanted), bool)
    with np.errstate(all="ignore"):
        size, total, squares = wanted.T
        near, gap, spread, apart = _tolerances(wanted)
        spreads = pairs.real - pairs.imag**2 / np.maximum(size[:1], 1)
        first = np.searchsorted(pairs.real, squares - near)
        beyond = np.searchsorted(pairs.real, squares + near, side="right")
        for step in range((beyond - first).max(initial=0)):
            place = first + step
            left = ~found & (place < beyond)
            place = place[left]
            equal_sums = np.abs(pairs.imag[place] - total[left]) <= gap[left]
            found[left] = equal_sums & (np.abs(spreads[place] - spread[left]) <= apart[left])
    return found


def _places_of(value: np.ndarray, offered: np.ndarray) -> list[int]:
    """Where ``offered`` (marks) has those of one value: what ``found_among`` finds, sooner."""
    size, total, squares = marks([value])[0]
    places = np.flatnonzero((offered[:, 0] == size) & np.isfinite(offered).all(axis=1))
    _, totals, all_squares = offered[places].T
    with np.errstate(all="ignore"):
        near, gap, spreads, apart = _tolerances(offered[places])
        alike = np.abs(all_squares - squares) <= near
        alike &= np.abs(totals - total) <= gap
        alike &= np.abs(spreads - (squares - total**2 / max(size, 1))) <= apart
    return [int(place) for place in places[alike]]


def _tolerances(offered: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """By how much the squares and the sum of equal values may differ; the spread, and likewise."""
    size, total, squares = offered.T
    spread = squares - total**2 / np.maximum(size, 1)
    near = _MARK_TOLERANCE * 10 * (squares + 1e-30)
    gap = _MARK_TOLERANCE * 10 * (np.sqrt(size * squares) + 1e-30)
    return near, gap, spread, _MARK_TOLERANCE * 10 * spread + _ROUNDING * squares + 1e-30


def find_stages(
    stages: Sequence[StageValue],
    values: Sequence[np.ndarray],
    lines: Sequence[int],
    offered: np.ndarray,
) -> list[StageFinding]:
    """Which stages came up among a submission's values.

    ``lines`` tells where each value was made, ``offered`` are the marks of the values.
    """
    findings = []
    for stage in stages:
        place = _place(stage, values, offered)
        if place is None and stage.negated:
            place = _place(replace(stage, value=-stage.value), values, offered)
        line = 0 if place is None else lines[place]
        findings.append(StageFinding(stage.title, place is not None, line))
    return findings


def with_rows_told(
    findings: Sequence[StageFinding], stages: Sequence[StageValue], values: Sequence[np.ndarray]
) -> list[StageFinding]:
    """The findings, the first one whose rows came up in another order told as such.

    Nothing is wrong with that order, but what goes by the number of a row may be.
    """
    told, offered = list(findings), marks(values)
    for i, (finding, stage) in enumerate(zip(findings, stages, strict=True)):
        in_order = replace(stage, rows=False)
        may_move = finding.found and stage.rows and not stage.negated
        if may_move and _place(in_order, values, offered) is None:
            told[i] = replace(finding, title=f"{finding.title}, rows in another order")
            break
    return told


def _place(stage: StageValue, values: Sequence[np.ndarray], offered: np.ndarray) -> int | None:
    """Where a stage came up; the last of its parts where it did so in parts."""
    places = _places_of(stage.value, offered)
    place = next((i for i in places if _same(stage, values[i])), None)
    return _last_part(stage.value, values, offered) if place is None else place


def _last_part(
    expected: np.ndarray, values: Sequence[np.ndarray], offered: np.ndarray
) -> int | None:
    """Place of the last of the heads of a stage, where each comes up on its own and all do."""
    for axis in range(expected.ndim) if expected.ndim > 2 else ():
        parts = list(np.moveaxis(expected, axis, 0))
        if len(parts) < 2 or not _places_of(parts[0], offered):
            continue
        if not found_among(marks(parts), offered).all():
            continue
        places = []
        for part in parts:
            alike = _places_of(part, offered)
            places.append(next((i for i in alike if _same_numbers(values[i], part)), None))
        if None not in places:
            return max(place for place in places if place is not None)
    return None


def _same_numbers(value: np.ndarray, expected: np.ndarray) -> bool:
    """Equal wherever the axes stand; in any order, too, where the numbers tell elements apart."""
    for axes in permutations(range(expected.ndim)):
        arranged = expected.transpose(axes)
        if close(value.reshape(arranged.shape), arranged, 1e-5):
            return True
    ours = np.sort(expected, axis=None)
    with np.errstate(all="ignore"):
        distinct = np.diff(ours) > 1e-5 * np.abs(ours[1:])
    tells = np.count_nonzero(distinct) > _TELLING * distinct.size
    return tells and close(np.sort(value, axis=None), ours, 1e-5)


def _same(stage: StageValue, value: np.ndarray) -> bool:
    """Equal up to shape, transposition and, for sequences, the order of the rows."""
    expected = stage.value
    if expected.ndim > 2:  # heads may stand anywhere, also inside a flattened axis
        return _same_numbers(value, expected)
    width = expected.shape[-1] if expected.ndim else 1
    flat = expected.reshape(-1, width)
    squeezed = value.reshape([n for n in value.shape if n != 1])
    candidates = [value.reshape(-1, width)]
    if squeezed.ndim > 1 and squeezed.shape[0] == width:
        candidates.append(squeezed.reshape(width, -1).T)
    for candidate in candidates:
        if close(candidate, flat, 1e-5):
            return True
        if stage.rows and close(_sorted_rows(candidate), _sorted_rows(flat), 1e-5):
            return True
    return False


def _sorted_rows(table: np.ndarray) -> np.ndarray:
    return table[np.argsort(table[:, 0], kind="stable")]


def open_stages(
    stages: Sequence[StageValue],
    findings: Sequence[StageFinding],
    needed: frozenset[int] = frozenset(),
) -> list[int]:
    """Places of the stages that did not come up, nor any that depends on them.

    A stage without which later ones came up all the same is only computed in another way; so is
    one that a right result depends on (``needed``: the numbers of these).  Weights that are all 0
    or 1, as of a single token or of a softmax of large scores, prove nothing of what they come of.
    """
    passed = {i for i, stage in enumerate(stages) if stage.number in needed}
    for i, (stage, finding) in enumerate(zip(stages, findings, strict=True)):
        if finding.found:
            passed |= stage.above | {i} if _proves_something(stage.value) else {i}
    return [i for i in range(len(stages)) if i not in passed]


def _proves_something(value: np.ndarray) -> bool:
    """Whether some number is neither 0 nor 1."""
    return bool((np.minimum(np.abs(value), np.abs(value - 1)) > _PLAINLY).any())


def needed_for(
    ancestors: Sequence[frozenset[int]],
    expected: Sequence[np.ndarray],
    outputs: Sequence[np.ndarray],
) -> frozenset[int]:
    """Numbers of the stages that the right ones of some results depend on."""
    pairs = zip(ancestors, expected, outputs, strict=False)
    right = (above for above, ours, theirs in pairs if close(theirs, ours))
    return frozenset().union(*right)


def parting(stages: Sequence[StageValue], findings: Sequence[StageFinding]) -> int | None:
    """Place of the first stage at which the two part; None when nothing is left open."""
    return next(iter(open_stages(stages, findings)), None)

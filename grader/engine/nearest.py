"""The value of a submission that stands in place of one that did not come up, and its line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from grader.engine.compare import close
from grader.engine.difference import is_definite, kind_of_difference
from grader.engine.origins import INPUT, first_astray
from grader.engine.stages import StageValue, found_among, marks, marks_of_rows

_ALIKE = 0.3
"""A value whose angle to the expected one has a smaller cosine is not what was meant by it."""
_ABOUT = 0.75
_ASTRAY = "the first value that the reference does not have"


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


class Nearest:
    """Looks among the submission's values for the one that stands in place of an expected one."""

    def __init__(
        self, right: Sequence[np.ndarray], values: Sequence[np.ndarray], lines: Sequence[int]
    ) -> None:
        self.values = values
        self.lines = lines
        self._of_reference = right
        self._right = found_among(marks(values), marks([*right, *_heads(right)]))
        self._last_right = max(map(int, np.flatnonzero(self._right)), default=-1)
        self._astray: list[int] = []

    def line_of(self, value: np.ndarray) -> int:
        """The line that made a value."""
        same = [
            line
            for other, line in zip(self.values, self.lines, strict=True)
            if line and _is(other, value)
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
        named = self._named([i for i in self._astray if self.lines[i]], expected)
        if named is None or not is_definite(named[1]):
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

    def follow_back(
        self,
        made_of: Sequence[Sequence[int]] | None,
        expected: Sequence[np.ndarray],
        outputs: Sequence[np.ndarray],
    ) -> None:
        """Find the values that are not right and made of such as are, on the way to a result.

        Of several wrong results that one is looked at which the fewest lines lead astray.
        """
        if made_of is None:
            return
        ends = []
        for ours, theirs in zip(expected, outputs, strict=False):
            if comparable(theirs, ours):
                ends += [i for i, value in enumerate(self.values) if _is(value, theirs)][-1:]
        known = (self._right | self._rows_known(made_of)).tolist()
        ways = [first_astray(known, made_of, [end]) for end in ends]
        self._astray = min(filter(None, ways), key=self._lines_and_place, default=[])

    def _rows_known(self, made_of: Sequence[Sequence[int]]) -> np.ndarray:
        """Which values are a row of one of the reference's, as of who takes token by token.

        Those apart that are taken out of a right value: it may be the wrong row.
        """
        rows = found_among(marks(self.values), marks_of_rows(self._of_reference))
        for place in np.flatnonzero(rows & ~self._right).tolist():
            parents = [self.values[i] for i in made_of[place] if i != INPUT and self._right[i]]
            row = marks([self.values[place]])
            rows[place] = not found_among(row, marks_of_rows(parents)).any()
        return rows

    def _lines_and_place(self, way: Sequence[int]) -> tuple[int, int]:
        return len({self.lines[place] for place in way}), way[0]

    def first_astray(self) -> Difference | None:
        """The line that makes these values, if it is one."""
        lines = {self.lines[place] for place in self._astray}
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


def _is(value: np.ndarray, other: np.ndarray) -> bool:
    return value.shape == other.shape and np.array_equal(value, other, equal_nan=True)


def comparable(theirs: np.ndarray, ours: np.ndarray) -> bool:
    """Whether a result is wrong, in floating-point numbers that can be looked at."""
    if theirs.dtype.kind != "f" or ours.dtype.kind != "f":
        return False
    return theirs.shape != ours.shape or not close(theirs, ours)

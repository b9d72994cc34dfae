"""What a known cause of an exception is, and what the shapes in its message tell."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Match = re.Match[str]


@dataclass(frozen=True)
class Cause:
    """A known cause of an exception.

    Attributes:
      id: short and stable; it stands in the verdict where a pitfall's id stands.
      type: the exception's class, as a regular expression; the whole name must match.
      message: what its message contains, as a regular expression.
      title: the mistake in a student's words.
      advice: explains without giving the answer away.
      holds: a further question to the message's match, where the words alone do not decide.

    """

    id: str
    type: str
    message: str
    title: str
    advice: str
    holds: Callable[[Match], bool] = lambda _: True

    def explains(self, error: Mapping[str, Any]) -> bool:
        """Whether an exception (as ``describe_error`` tells it) is of this kind."""
        found = re.search(self.message, str(error.get("message", "")))
        named = re.fullmatch(self.type, str(error.get("type", "")))
        return bool(named and found and self.holds(found))


def _shapes(match: Match) -> list[tuple[int, ...]]:
    """The shapes in a message: every ``(2, 3)``."""
    found = re.findall(r"\(((?:\d+,?\s?)*)\)", match.string)
    return [tuple(int(n) for n in re.findall(r"\d+", text)) for text in found]


def vector_with_rows(match: Match) -> bool:
    """One array is a vector of the length of the other's rows."""
    vector, *_ = sorted(_shapes(match), key=len)
    return len(vector) == 1 and any(len(s) == 2 and s[1] == vector[0] for s in _shapes(match))


def lengths_apart(match: Match) -> bool:
    """Two sequences of vectors of one width, of different lengths."""
    shapes = _shapes(match)[:2]
    if len(shapes) < 2 or not all(shapes):
        return False
    return shapes[0][-1] == shapes[1][-1] and len(shapes[0]) > 1 and len(shapes[1]) > 1


def one_row_apart(match: Match) -> bool:
    """Such sequences, one of which has a row more."""
    if not lengths_apart(match):
        return False
    one, other = _shapes(match)[:2]
    return abs(one[-2] - other[-2]) == 1

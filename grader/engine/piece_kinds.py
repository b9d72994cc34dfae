"""How the pieces of arrays start, and which of their factors are only the way they are kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from grader.engine.layout import NUMBER, Leaf
from grader.engine.own_factors import not_own


class PieceKinds:
    """What one trace tells of its pieces, for those of other draws.

    The pieces of an array are taken to be the same on another draw where there are as many, and
    else to start as all those do that are used for the same.

    Args:
      pieces: of the parameters of one trace.
      values: how its parameters start.

    """

    def __init__(self, pieces: Sequence[Leaf], values: Sequence[np.ndarray]) -> None:
        started = [replace(piece, kind=_kind(piece, piece.of(values))) for piece in pieces]
        as_they_are = set(map(id, not_own(started, values)))
        self._known: dict[str, list[Leaf]] = {}
        for of_one in _of_each(started):
            kept = [replace(x, factor=1.0) if id(x) in as_they_are else x for x in of_one]
            path = _whole(of_one[0])
            self._known[path] = self._known[NUMBER.sub("#", path)] = kept

    def told(self, pieces: Sequence[Leaf]) -> list[Leaf]:
        """The same pieces, each with its kind, and without a factor that is not its own affair."""
        return [told for of_one in _of_each(pieces) for told in self._told(of_one)]

    def _told(self, of_one: Sequence[Leaf]) -> Iterator[Leaf]:
        path = _whole(of_one[0])
        known = self._known.get(path) or self._known.get(NUMBER.sub("#", path), [])
        for number, piece in enumerate(of_one):
            likes = [x for x in known if x.role == piece.role]
            if len(known) == len(of_one):
                likes = [known[number]]
            kinds = {like.kind for like in likes}
            own = piece.factor if any(like.factor != 1 for like in likes) else 1.0
            yield replace(piece, factor=own).starting(
                kinds.pop() if len(kinds) == 1 else piece.kind
            )


def _of_each(pieces: Sequence[Leaf]) -> list[list[Leaf]]:
    """The pieces of each parameter."""
    found: dict[int, list[Leaf]] = defaultdict(list)
    for piece in pieces:
        found[piece.index].append(piece)
    return list(found.values())


def _whole(piece: Leaf) -> str:
    return piece.path if piece.part is None else piece.path.rpartition("[")[0]


def _kind(piece: Leaf, value: np.ndarray) -> str:
    """How it starts; of an array that starts at random some pieces may not."""
    for number, kind in ((0, "zeros"), (1, "ones")):
        if value.size and (value == number).all():
            return kind
    return "random" if piece.kind in ("zeros", "ones") else piece.kind

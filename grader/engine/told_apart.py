"""Which parameter is which, learned from the draws on which sizes tell.

With as many registers as there are rows in the position table the two look alike, and which one
is used first depends on how an answer is written.  On other draws they have other sizes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from grader.engine.layout import Leaf
from grader.engine.pairing import DEFAULT
from grader.engine.slots import Leaves, Mode, slots_of


def told_apart(
    pairs: Iterable[tuple[Sequence[Leaf], Sequence[Leaf]]], mode: Mode | None
) -> tuple[tuple[str, str], ...]:
    """For paths of the submission what they are in the reference, as sizes on all draws decide.

    Args:
      pairs: for each draw the parameters of the reference and those of the submission.
      mode: which of the reference's parameters share an array.

    Returns:
      Paths, each with the group of slots that alone has its size on every draw.  A path that
      means one thing in a model of two layers and another in one of three is not among them.

    """
    if mode is None:
        return ()
    possible: dict[str, set[str]] = {}
    for reference, submission in pairs:
        of_size: dict[int, set[str]] = defaultdict(set)
        for slot in slots_of(Leaves(reference), mode, DEFAULT.siblings, DEFAULT.head_by_head):
            of_size[slot.size].add(slot.group)
        for leaf in submission:
            if leaf.size:
                groups = possible.get(leaf.path, of_size[leaf.size])
                possible[leaf.path] = groups & of_size[leaf.size]
    return tuple((path, min(groups)) for path, groups in possible.items() if len(groups) == 1)

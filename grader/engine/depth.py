"""Whether a submission has another number of encoder blocks than it should."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from grader.engine.layout import Leaf, layer
from grader.engine.transplant import Match, match

_APART = 1000
"""How much later on the clock a block that is added is used than the one before it."""


@dataclass(frozen=True)
class Depth:
    """The number of encoder blocks that there is, and the number that there should be."""

    found: int
    wanted: int


def other_depth(reference: Sequence[Leaf], submission: Sequence[Leaf]) -> Depth | None:
    """The depth at which the reference would have the submission's parameters; None if at none."""
    blocks: dict[int, list[Leaf]] = defaultdict(list)
    for leaf in reference:
        number = layer(leaf.path)
        if number is not None:
            blocks[number].append(leaf)
    more = sum(leaf.size for leaf in submission) - sum(leaf.size for leaf in reference)
    of_one = sum(leaf.size for leaf in blocks[0]) if blocks else 0
    if not of_one or not more or more % of_one:
        return None
    depth = Depth(len(blocks) + more // of_one, len(blocks))
    if depth.found < 1:
        return None
    like = _with_depth(reference, blocks, depth.found)
    return depth if isinstance(match(like, submission), Match) else None


def _with_depth(reference: Sequence[Leaf], blocks: dict[int, list[Leaf]], depth: int) -> list[Leaf]:
    """The reference's parameters with so many blocks, the last of its own again and again."""
    last = len(blocks) - 1
    times = [leaf.used or 0 for leaf in blocks[last]]
    leaves = [
        replace(leaf, used=(leaf.used or 0) * depth * _APART)
        for leaf in reference
        if (layer(leaf.path) or 0) < depth
    ]
    for number in range(last + 1, depth):
        for leaf in blocks[last]:
            since = (leaf.used or 0) - min(times)
            used = max(times) * depth * _APART + (number - last - 1) * _APART + since
            path = leaf.path.replace(f"block_{last}", f"block_{number}")
            leaves.append(replace(leaf, path=path, used=used))
    return [replace(leaf, index=i) for i, leaf in enumerate(leaves)]

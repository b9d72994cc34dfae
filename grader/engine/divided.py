"""Parameters of the reference that a submission divides among several arrays.

A kernel by the channels of the image, by pixels, by features; the hidden units of an MLP in two
halves.  Each array is a stretch along one axis of the whole.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

from grader.engine.layout import Leaf, arrangements
from grader.engine.slots import Cut, Slot
from grader.engine.tables import Pairs, in_use_order

_AXES = 5
"""Of a kernel (height, width, channel, out): its four, and height and width as one."""
DIVISIONS = 2 * _AXES
"""To divide: along each axis, its first stretch used first or last."""


def divided(
    slots: Sequence[Slot], leaves: Sequence[Leaf], prefer: int
) -> tuple[Pairs, list[Slot], list[Leaf]]:
    """Pair slots with several leaves each, as far as that is possible.

    Args:
      slots: without a partner, as are ``leaves``.
      leaves: of the submission.
      prefer: the way to divide that is tried first, below `DIVISIONS`.

    Returns:
      The pairs, and what is left over.

    """
    pairs: Pairs = []
    left = sorted(leaves, key=in_use_order)
    undivided: list[Slot] = []
    for slot in sorted(slots, key=in_use_order):
        stretches = _divide(slot, left, prefer)
        if stretches is None:
            undivided.append(slot)
            continue
        pairs += [(leaf, (stretch,)) for leaf, stretch in stretches]
        used = {id(leaf) for leaf, _ in stretches}
        left = [leaf for leaf in left if id(leaf) not in used]
    return pairs, undivided, left


def _divide(slot: Slot, leaves: Sequence[Leaf], prefer: int) -> list[tuple[Leaf, Slot]] | None:
    """One slot divided among some of the leaves, in the preferred way if that is possible."""
    if slot.place is not None or slot.head is not None:
        return None
    leaves = [leaf for leaf in leaves if leaf.role == slot.role and leaf.size < slot.size]
    if sum(leaf.size for leaf in leaves) < slot.size:
        return None
    # What is preferred comes first, however its factors stand: elsewhere they may stand plainly.
    ways = itertools.product((True, False), range(DIVISIONS))
    for plainly, number in itertools.chain([(True, 0), (False, 0)] if prefer else [], ways):
        axis, backwards = divmod((prefer + number) % DIVISIONS, 2)
        names, sizes, axis = _view(slot, axis)
        if axis >= len(sizes) or sizes[axis] < 2:
            continue
        each = slot.size // sizes[axis]
        found: list[tuple[Leaf, int]] = []
        for leaf in leaves:
            length, more = divmod(leaf.size, each)
            room = sizes[axis] - sum(n for _, n in found)
            if not more and 0 < length <= min(room, sizes[axis] - 1):
                shape = (*sizes[:axis], length, *sizes[axis + 1 :])
                if _fits(leaf, names, shape, plainly):
                    found.append((leaf, length))
        if sum(n for _, n in found) == sizes[axis]:
            return _stretches(slot, names, sizes, axis, found[::-1] if backwards else found)
    return None


def _fits(leaf: Leaf, names: tuple[str, ...], sizes: tuple[int, ...], plainly: bool) -> bool:
    """Whether an array can hold factors of these sizes, in their very order if ``plainly``."""
    if plainly:
        return [n for n in leaf.shape if n > 1] == [n for n in sizes if n > 1]
    return bool(arrangements(names, sizes, leaf.shape))


def _view(slot: Slot, number: int) -> tuple[tuple[str, ...], tuple[int, ...], int]:
    """Names and sizes of the factors, and the place of the axis with this number among them."""
    names, sizes = slot.names, slot.sizes
    if number < _AXES - 1:
        return names, sizes, 2 + number
    if names[2:4] != ("height", "width"):
        return names, sizes, len(sizes)
    return (*names[:2], "pixel", *names[4:]), (*sizes[:2], math.prod(sizes[2:4]), *sizes[4:]), 2


def _stretches(
    slot: Slot,
    names: tuple[str, ...],
    sizes: tuple[int, ...],
    axis: int,
    found: Sequence[tuple[Leaf, int]],
) -> list[tuple[Leaf, Slot]]:
    """Each leaf with the stretch of the slot that it holds, one after the other."""
    ends = itertools.accumulate((length for _, length in found), initial=0)
    return [
        (
            leaf,
            replace(
                slot,
                names=names,
                sizes=(*sizes[:axis], stop - start, *sizes[axis + 1 :]),
                cut=Cut(sizes, axis, start, stop),
            ),
        )
        for (leaf, _), (start, stop) in zip(found, itertools.pairwise(ends), strict=True)
    ]

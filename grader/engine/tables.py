"""Tables that a submission divides among arrays, and arrays in which it keeps two tables."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

from grader.engine.layout import Leaf
from grader.engine.slots import Slot

Pair = tuple[Leaf, tuple[Slot, ...]]
Pairs = list[Pair]
FEW = 8
"""Among so many parameters any two are tried that could be one table, or share an array."""


def in_use_order(leaf: Leaf | Slot) -> tuple[bool, int]:
    """A key to sort by: what is used first, what is never used last."""
    return (leaf.used is None, leaf.used or 0)


def table_splits(
    slots: list[Slot], leaves: list[Leaf]
) -> Iterator[tuple[Pairs, list[Slot], list[Leaf]]]:
    """A table of the reference kept as several arrays, or two tables kept as one."""
    few = len(slots) + len(leaves) <= FEW
    slots, leaves = sorted(slots, key=in_use_order), sorted(leaves, key=in_use_order)
    for slot in slots:
        width = slot.sizes[-1]
        for first, second in itertools.permutations(leaves, 2) if few else ():
            fits = first.size + second.size == slot.size
            if fits and _is_table(first, width) and _is_table(second, width):
                yield _divided(slot, [first, second])
        parts = leaves if is_whole_table(slot) else []
        tables = [x for x in parts if _is_table(x, width)]
        for start in range(len(tables)):
            for end, size in enumerate(itertools.accumulate(x.size for x in tables[start:])):
                if size == slot.size and end > 1:
                    yield _divided(slot, tables[start : start + end + 1])
    for leaf in leaves:
        for one, two in itertools.permutations(slots, 2) if few else ():
            same_width = one.sizes[-1] == two.sizes[-1]
            if same_width and one.size + two.size == leaf.size and _is_table(leaf, one.sizes[-1]):
                yield [(leaf, (one, two))], [one, two], [leaf]


def _divided(slot: Slot, leaves: list[Leaf]) -> tuple[Pairs, list[Slot], list[Leaf]]:
    """A table whose rows stand in several arrays, one after the other."""
    rows = (leaf.size // slot.sizes[-1] for leaf in leaves)
    cuts = itertools.pairwise(itertools.accumulate(rows, initial=0))
    return [(x, (replace(slot, rows=cut),)) for x, cut in zip(leaves, cuts)], [slot], leaves


def is_whole_table(slot: Slot) -> bool:
    """Whether it is one parameter, and none of a projection to query, key or value."""
    return slot.place is None and slot.head is None and slot.sizes[:2] == (1, 1)


def _is_table(leaf: Leaf, width: int) -> bool:
    return bool(leaf.shape) and leaf.shape[-1] == width

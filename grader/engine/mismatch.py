"""What a submission's parameters lack, and what they have instead, when they cannot be paired."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from grader.engine.layout import Leaf
from grader.engine.slots import Slot

Fits = Callable[[Slot, Leaf], bool]
_PAIR, _KIND, _SHAPE, _NAME, _LAST = 1000, 100, 10, 10, 1
"""What it counts that two can be paired, start alike, have one shape, are of one projection by
their names, and are both called ``scale``, say."""


@dataclass(frozen=True)
class Mismatch:
    """No pairing: what the submission lacks and what it has instead."""

    missing: tuple[Slot, ...]
    extra: tuple[Leaf, ...]


def amount_apart(slots: Sequence[Slot], leaves: Sequence[Leaf]) -> int:
    """How many of either have no counterpart of the same size and use."""
    ours, theirs = Counter(map(_use, slots)), Counter(map(_use, leaves))
    return ((ours - theirs) + (theirs - ours)).total()


def difference(ways: Iterable[Sequence[Slot]], leaves: Sequence[Leaf], fits: Fits) -> Mismatch:
    """What one sequence of parameters, in order of use, has that the other lacks.

    A bias follows the kernel to whose product it is added.  So where one of several that are
    alike is missing, those on either side tell which.  ``ways`` are the slots with query, key
    and value in each of the orders in which they may be used: where one of the three lacks
    something, names are all that tells which.
    """
    each = (_compared(slots, leaves, fits) for slots in ways)
    first = next(each)
    one_of_three = any(slot.place is not None for slot in first.mismatch.missing)
    if one_of_three and first.misnamed:
        return max([first, *each], key=lambda way: way.alike).mismatch
    return first.mismatch


_Pairs = list[tuple[Slot, Leaf]]


@dataclass(frozen=True)
class _Comparison:
    """What pairs well in one order, how well, and what is left."""

    mismatch: Mismatch
    alike: int
    misnamed: bool


def _compared(slots: Sequence[Slot], leaves: Sequence[Leaf], fits: Fits) -> _Comparison:
    ours = sorted(slots, key=lambda slot: slot.first)
    theirs = sorted(leaves, key=lambda leaf: (leaf.used is None, leaf.used or 0))
    pairs = _longest_in_step(ours, theirs, fits)
    return _Comparison(
        mismatch=_left_over(ours, theirs, pairs, fits),
        alike=sum(_likeness(slot, leaf, fits) for slot, leaf in pairs),
        misnamed=any(_misnamed(slot, leaf) for slot, leaf in pairs),
    )


def _left_over(ours: list[Slot], theirs: list[Leaf], pairs: _Pairs, fits: Fits) -> Mismatch:
    """What has no counterpart, wherever that may stand: what only moved is not missing."""
    kept, known = {id(slot) for slot, _ in pairs}, {id(leaf) for _, leaf in pairs}
    lacking = [slot for slot in ours if id(slot) not in kept]
    unknown: list[Leaf] = []
    left = [leaf for leaf in theirs if id(leaf) not in known]
    for i, leaf in enumerate(left):
        alike = [slot for slot in lacking if _likeness(slot, leaf, fits)]
        if alike and len(lacking) + len(unknown) + len(left) - i > 2:
            lacking.remove(max(alike, key=lambda slot: _likeness(slot, leaf, fits)))
        else:
            unknown.append(leaf)
    _used_otherwise(lacking, unknown, fits)
    return Mismatch(tuple(lacking), tuple(_of_a_whole_module(unknown, theirs)))


def _used_otherwise(lacking: list[Slot], unknown: list[Leaf], fits: Fits) -> None:
    """Take out what is there in its very shape, if only something else remains to be told.

    A position table whose first row serves as the CLS token is used as a token first.
    """
    for leaf in list(unknown):
        shape = [n for n in leaf.shape if n != 1]
        same = [slot for slot in lacking if shape == [n for n in slot.sizes if n != 1]]
        if len(same) == 1 and len(lacking) + len(unknown) > 2 and fits(same[0], leaf):
            lacking.remove(same[0])
            unknown.remove(leaf)


def _of_a_whole_module(extra: list[Leaf], theirs: list[Leaf]) -> list[Leaf]:
    """What is surplus, or what is alike and makes up a module of its own higher up, if any.

    One LayerNorm too many before the blocks shifts all that follow: it is more likely the one in
    front that nobody asked for than one in the middle of a block.
    """
    modules: dict[str, list[Leaf]] = defaultdict(list)
    for leaf in theirs:
        modules[leaf.path.rpartition("/")[0]].append(leaf)
    inside = {leaf.path.rpartition("/")[0] for leaf in extra}
    if len(inside) != 1:
        return extra
    (own,) = inside
    kinds = Counter(map(_use, extra))
    alike = [
        path
        for path, leaves in modules.items()
        if Counter(map(_use, leaves)) == kinds and path.count("/") < own.count("/")
    ]

    def far(path: str) -> tuple[int, int]:
        return path.count("/"), abs((modules[path][0].used or 0) - (extra[0].used or 0))

    return modules[min(alike, key=far)] if alike else extra


def _use(item: Slot | Leaf) -> tuple[int, str]:
    return item.size, item.role


def _likeness(slot: Slot, leaf: Leaf, fits: Fits) -> int:
    """0 for two that cannot be the same, else the more the more they have in common."""
    if _use(slot) != _use(leaf) or not fits(slot, leaf):
        return 0
    shape = [n for n in leaf.shape if n != 1]
    same = len(shape) > 1 and shape == [n for n in slot.sizes if n != 1]
    named = not _names(slot.path).isdisjoint(_words(leaf.path))
    last = slot.path.rsplit("/", 1)[-1] == leaf.path.rsplit("/", 1)[-1]
    alike = _KIND * (slot.kind == leaf.kind) + _SHAPE * same + _NAME * named + _LAST * last
    return _PAIR + alike


def _misnamed(slot: Slot, leaf: Leaf) -> bool:
    """Whether a projection goes by the name of another one."""
    if slot.place is None:
        return False
    own, words = _names(slot.path), _words(leaf.path)
    return own.isdisjoint(words) and not _names("query/key/value").isdisjoint(words)


@lru_cache(4096)
def _names(path: str) -> frozenset[str]:
    """What people call the projections in a path: ``key``, ``k``, ``wk``, ``bk``."""
    projections = _words(path) & {"query", "key", "value", "out"}
    prefixes = ("", "w", "b")
    return frozenset(projections | {p + name[0] for name in projections for p in prefixes})


@lru_cache(4096)
def _words(path: str) -> frozenset[str]:
    return frozenset(re.split(r"[/_, ]+", path.lower()))


def _longest_in_step(ours: list[Slot], theirs: list[Leaf], fits: Fits) -> _Pairs:
    """The most pairs that keep the order of both, of those the most alike, the earliest first."""
    uses = list(map(_use, theirs))
    like = [
        [
            _likeness(slot, leaf, fits) if use == own else 0
            for leaf, use in zip(theirs, uses, strict=True)
        ]
        for slot, own in zip(ours, map(_use, ours), strict=True)
    ]
    best = [[0] * (len(theirs) + 1) for _ in range(len(ours) + 1)]
    for i in reversed(range(len(ours))):
        here, below, alike = best[i], best[i + 1], like[i]
        for j in reversed(range(len(theirs))):
            here[j] = max(below[j], here[j + 1], below[j + 1] + alike[j])
    pairs: _Pairs = []
    i = j = 0
    while i < len(ours) and j < len(theirs):
        if like[i][j] and best[i][j] == best[i + 1][j + 1] + like[i][j]:
            pairs.append((ours[i], theirs[j]))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs

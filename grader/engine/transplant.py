"""Give a submission the reference's weights, whatever it named them and however it stores them.

``match`` pairs the reference's parameters with the submission's: by how many elements they
have, by what they are used for and by the order of use.  Where several pairings or layouts are
possible inside a block they are ``Choices``.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from grader.engine.layout import Leaf, arrange, arrangements, backwards, is_plain
from grader.engine.mismatch import Mismatch, amount_apart, difference
from grader.engine.pairing import (
    DEFAULT,
    PART_WAYS,
    TABLE_WAYS,
    UNDONE,
    Choices,
    fits,
    group_of,
    is_learned_table,
    is_row_of_a_table,
    paired,
)
from grader.engine.slots import Leaves, Mode, Slot, modes, slots_of
from grader.engine.tables import FEW

__all__ = ["Match", "Mismatch", "match"]

_NO_ORDERS: Mapping[str, tuple[str, ...]] = {}
_MANY = 128
"""Among so many parameters without a partner divided tables are looked for, where nearly all are
the submission's, as of a table that it keeps row by row; else among few."""


@dataclass(frozen=True)
class Match:
    """A full pairing: for each parameter of the submission the slots that fill it."""

    pieces: tuple[tuple[Leaf, tuple[Slot, ...]], ...]
    orders: Mapping[str, tuple[str, ...]]
    mode: Mode
    empty: tuple[Leaf, ...] = ()
    undone: int = 0

    @property
    def split(self) -> bool:
        """Whether a table was divided among arrays, or two share one."""
        return any(len(slots) > 1 or slots[0].rows or slots[0].cut for _, slots in self.pieces)

    @property
    def part_ways(self) -> int:
        """How many ways there are to split tables and kernels, for what is split here."""
        slots = [slots[0] for _, slots in self.pieces]
        if any(slot.cut or (slot.rows and slot.role == "kernel") for slot in slots):
            return PART_WAYS
        return TABLE_WAYS if self.split or any(map(is_row_of_a_table, self.pieces)) else 1

    def weights(self, reference: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The submission's parameters, in its own order, from those of the reference."""

        def kept(leaf: Leaf, value: np.ndarray) -> np.ndarray:
            value = value - 1.0 if leaf.plus_one else value
            factor = self.factor(leaf)
            return value if factor == 1 else value / factor

        return self.filled(reference, kept)

    def gradients(self, reference: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The gradients of the submission's parameters, in its own order, from the reference's."""

        def kept(leaf: Leaf, value: np.ndarray) -> np.ndarray:
            factor = self.factor(leaf)
            return value if factor == 1 else value * factor

        return self.filled(reference, kept)

    def factor(self, leaf: Leaf) -> float:
        """What the submission multiplies a parameter by to have what the reference has."""
        return leaf.factor if UNDONE[self.undone](leaf) else 1.0

    def arranged(self, reference: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Values that belong to the reference's parameters, as the submission lays them out."""
        return self.filled(reference, lambda _, value: value)

    def filled(
        self, reference: Sequence[np.ndarray], kept: Callable[[Leaf, np.ndarray], np.ndarray]
    ) -> list[np.ndarray]:
        """The submission's arrays, each parameter in them as ``kept`` makes it of its value."""
        filled = {leaf.index: np.zeros(leaf.shape) for leaf in self.empty}
        for leaf, slots in self.pieces:
            value = kept(leaf, self._value(leaf, slots, reference))
            if leaf.part is None:
                filled[leaf.index] = value
            else:
                whole = filled.setdefault(leaf.index, np.zeros(leaf.part.whole))
                whole.reshape(-1)[leaf.part.elements] = value
        return [filled[i] for i in sorted(filled)]

    def _value(
        self, leaf: Leaf, slots: tuple[Slot, ...], reference: Sequence[np.ndarray]
    ) -> np.ndarray:
        """What fills one parameter."""
        parts = [self._part(slot, reference) for slot in slots]
        if len(parts) > 1:
            parts = [np.concatenate([part.reshape(-1, part.shape[-1]) for part in parts])]
        elif slots[0].rows is None:
            return arrange(parts[0], slots[0].names, self._order(slots[0], leaf), leaf.shape)
        return parts[0].reshape(leaf.shape)

    def orders_used(self) -> dict[str, tuple[str, ...]]:
        """The order of the factors in each layout, the most detailed one, and of each alone."""
        used: dict[str, tuple[str, ...]] = {}
        for leaf, slots in self.pieces:
            if len(slots) == 1 and slots[0].rows is None:
                order = self._order(slots[0], leaf)
                for name in {slots[0].layout, slots[0].alone}:
                    if len(order) > len(used.get(name, ())):
                        used[name] = order
        return used

    def tables(self) -> tuple[tuple[str, str, int], ...]:
        """The arrays that hold learned tokens or tables, or rows of them: see `Choices`."""
        return tuple(
            (leaf.path, group_of(slots), slots[0].rows[0] if slots[0].rows else 0)
            for leaf, slots in self.pieces
            if all(is_learned_table((leaf, (slot,))) for slot in slots)
        )

    def _part(self, slot: Slot, reference: Sequence[np.ndarray]) -> np.ndarray:
        members = [reference[i] for i in slot.members]
        if slot.head is not None:
            axis, number = slot.head
            members = [np.take(member, number, axis) for member in members]
        stacked = np.stack(members)
        if slot.cut is not None:
            stretch = range(slot.cut.start, slot.cut.stop)
            return stacked.reshape(slot.cut.whole).take(stretch, slot.cut.axis)
        value = stacked.reshape(slot.sizes)
        if slot.rows is None:
            return value
        return value.reshape(-1, slot.sizes[-1])[slot.rows[0] : slot.rows[1]]

    def _order(self, slot: Slot, leaf: Leaf) -> tuple[str, ...]:
        alone, shared = self.orders.get(slot.layout), self.orders.get(slot.base)
        wanted = alone or shared
        possible = arrangements(slot.names, slot.sizes, leaf.shape)
        if alone is None or slot.place is None:
            # What is shared cannot hold for an array that shows an order of its own.
            plain = [o for o in possible if is_plain(slot.names, slot.sizes, o, leaf.shape)]
            possible = tuple(plain) or possible
        if self.orders.get(slot.alone) in possible:
            return self.orders[slot.alone]
        if wanted is None:
            return possible[0]
        forward = [name.removeprefix("-") for name in wanted]
        order = next((order for order in possible if _agree(order, forward)), possible[0])
        return backwards(order, [name[1:] for name in wanted if name.startswith("-")])


def _agree(order: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether two orders arrange the factors that both have in the same way."""
    return [n for n in order if n in wanted] == [n for n in wanted if n in order]


def match(
    reference: Sequence[Leaf], submission: Sequence[Leaf], choices: Choices = DEFAULT
) -> Match | Mismatch:
    """Pair the parameters of a submission with those of the reference."""
    pairing = replace(choices, orders=_NO_ORDERS, undone=0)
    found = _paired(Leaves(reference), Leaves(submission), pairing)
    if isinstance(found, Mismatch):
        return found
    return replace(found, orders=choices.orders, undone=choices.undone)


def common_mode(pairs: Iterable[tuple[Sequence[Leaf], Sequence[Leaf]]]) -> Mode | None:
    """The plainest way to share arrays that pairs all parameters on every one of some draws.

    On one draw alone three heads of a third of the width look like query, key and value, and
    three layers do.
    """
    both = [(Leaves(reference), Leaves(submission)) for reference, submission in pairs]
    for mode in modes(both[0][0].leaves) if both else ():
        if all(_in_mode(*pair, mode, DEFAULT) is not None for pair in both):
            return mode
    return None


@lru_cache(1024)
def _paired(reference: Leaves, submission: Leaves, choices: Choices) -> Match | Mismatch:
    """What ``match`` finds, but for the order of the factors, which decides no pairing."""
    possible = list(modes(reference.leaves))
    possible.sort(key=lambda mode: mode != choices.mode)
    for mode in possible:
        result = _in_mode(reference, submission, mode, replace(choices, mode=None))
        if result is not None:
            return result
    theirs = [leaf for leaf in submission.leaves if leaf.size]
    siblings, head_by_head = choices.siblings, choices.head_by_head
    nearest = min(
        possible,
        key=lambda mode: amount_apart(slots_of(reference, mode, siblings, head_by_head), theirs),
    )
    orders = itertools.permutations(range(3))
    ways = (slots_of(reference, nearest, order, head_by_head) for order in orders)
    return difference(ways, theirs, fits)


@lru_cache(4096)
def _in_mode(reference: Leaves, submission: Leaves, mode: Mode, choices: Choices) -> Match | None:
    """The full pairing in one mode, None when there is none."""
    theirs = [leaf for leaf in submission.leaves if leaf.size]
    slots = slots_of(reference, mode, choices.siblings, choices.head_by_head)
    if sum(leaf.size for leaf in theirs) != sum(slot.size for slot in slots):
        return None
    sizes, ours = (Counter(item.size for item in items) for items in (theirs, slots))
    if _hopeless(list((ours - sizes).elements()), list((sizes - ours).elements())):
        return None  # what differs in size is no pair
    pieces = paired(list(slots), theirs, choices)
    if pieces is None:
        return None
    empty = tuple(leaf for leaf in submission.leaves if not leaf.size)
    return Match(tuple(pieces), choices.orders, mode, empty)


def _hopeless(slots: Sequence[object], leaves: Sequence[object]) -> bool:
    """Whether too many are without a partner of their size for tables to explain it."""
    loose = len(slots) + len(leaves)
    return loose > (_MANY if len(slots) < 4 else FEW)

"""Give a submission the reference's weights, whatever it named them and however it stores them.

``match`` pairs the reference's parameters with the submission's: by how many elements they
have, by what they are used for and by the order of use.  Where several pairings or layouts are
possible inside a block they are ``Choices``.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from grader.engine.layout import Leaf, arrange, arrangements, backwards, is_plain
from grader.engine.mismatch import Mismatch, amount_apart, difference
from grader.engine.slots import Leaves, Mode, Slot, modes, slots_of
from grader.engine.tables import FEW, Pairs, in_use_order, is_whole_table, table_splits

__all__ = ["DEFAULT", "PAIRINGS", "Choices", "Match", "Mismatch", "match"]

_MANY = 64
"""Among so many parameters without a partner divided tables are looked for, where nearly all are
the submission's, as of a table that it keeps row by row; else among few."""


@dataclass(frozen=True)
class Choices:
    """Decisions that shapes alone do not make.

    Attributes:
      siblings: which of query, key and value stands first, second and third.
      orders: by group of parameters or by one layout in it, the order of the factors.
      head_by_head: for heads kept apart, whether each head's query, key and value follow one
        another, or all queries come first.
      table: which of the possible ways to split a table among arrays.
      pairing: which of the ways to tell parameters of equal size apart.
      mode: which parameters share an array, where that is known: the way that is tried first.
      known: paths of which the group of slots is known that they belong to.

    """

    siblings: tuple[int, ...] = (0, 1, 2)
    orders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    head_by_head: bool = True
    table: int = 0
    pairing: int = 0
    mode: Mode | None = None
    known: tuple[tuple[str, str], ...] = ()

    def __hash__(self) -> int:
        orders = tuple(sorted(self.orders.items()))
        decided = self.siblings, self.head_by_head, self.table, self.pairing, self.mode, self.known
        return hash((orders, decided))


DEFAULT = Choices()
_NO_ORDERS: Mapping[str, tuple[str, ...]] = {}


@dataclass(frozen=True)
class Match:
    """A full pairing: for each parameter of the submission the slots that fill it."""

    pieces: tuple[tuple[Leaf, tuple[Slot, ...]], ...]
    orders: Mapping[str, tuple[str, ...]]
    mode: Mode
    empty: tuple[Leaf, ...] = ()

    @property
    def split(self) -> bool:
        """Whether a table was divided among arrays, or two share one."""
        return any(len(slots) > 1 or slots[0].rows for _, slots in self.pieces)

    def weights(self, reference: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The submission's parameters, in its own order, from those of the reference."""
        values = self.arranged(reference)
        for leaf, _ in self.pieces:
            if leaf.plus_one:
                values[leaf.index] = values[leaf.index] - 1.0
        return values

    def arranged(self, reference: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Values that belong to the reference's parameters, such as gradients, as the submission
        lays them out.
        """
        filled = {leaf.index: np.zeros(leaf.shape) for leaf in self.empty}
        for leaf, slots in self.pieces:
            value = self._value(leaf, slots, reference)
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

    def _part(self, slot: Slot, reference: Sequence[np.ndarray]) -> np.ndarray:
        members = [reference[i] for i in slot.members]
        if slot.head is not None:
            axis, number = slot.head
            members = [np.take(member, number, axis) for member in members]
        value = np.stack(members).reshape(slot.sizes)
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
    found = _paired(Leaves(reference), Leaves(submission), replace(choices, orders=_NO_ORDERS))
    return replace(found, orders=choices.orders) if isinstance(found, Match) else found


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
    return difference(ways, theirs, _fits)


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
    pieces = _assign(list(slots), theirs, choices)
    if pieces is None:
        return None
    empty = tuple(leaf for leaf in submission.leaves if not leaf.size)
    return Match(tuple(pieces), choices.orders, mode, empty)


def _hopeless(slots: Sequence[object], leaves: Sequence[object]) -> bool:
    """Whether too many are without a partner of their size for tables to explain it."""
    loose = len(slots) + len(leaves)
    return loose > (_MANY if len(slots) < 4 else FEW)


def _assign(slots: list[Slot], leaves: list[Leaf], choices: Choices) -> Pairs | None:
    """A full pairing, or None when something is left over on either side."""
    surely, slots, leaves = _pair_known(slots, leaves, dict(choices.known))
    pairs, free_slots, free_leaves = _pair_by_use(slots, leaves, choices.pairing)
    pairs = surely + pairs
    few = len(free_slots) + len(free_leaves) <= FEW
    if free_slots and free_leaves and (few or all(map(is_whole_table, free_slots))):
        ways = list(table_splits(free_slots, free_leaves))
        if ways:
            chosen, used_slots, used_leaves = ways[min(choices.table, len(ways) - 1)]
            rest_slots = [slot for slot in free_slots if slot not in used_slots]
            rest_leaves = [leaf for leaf in free_leaves if leaf not in used_leaves]
            more, free_slots, free_leaves = _pair_by_use(rest_slots, rest_leaves, choices.pairing)
            pairs += chosen + more
    return None if free_slots or free_leaves else pairs


def _pair_known(
    slots: list[Slot], leaves: list[Leaf], known: Mapping[str, str]
) -> tuple[Pairs, list[Slot], list[Leaf]]:
    """Pair what is known to belong together; what is left over comes back."""
    alone: dict[str, list[Slot]] = defaultdict(list)
    for slot in slots:
        alone[slot.group].append(slot)
    pairs: Pairs = []
    for leaf in leaves:
        of_group = alone[known.get(leaf.path, "")]
        if len(of_group) == 1 and of_group[0].size == leaf.size and _fits(of_group[0], leaf):
            pairs.append((leaf, (of_group.pop(),)))
    taken = {id(item) for leaf, (slot,) in pairs for item in (leaf, slot)}
    free_slots = [slot for slot in slots if id(slot) not in taken]
    return pairs, free_slots, [leaf for leaf in leaves if id(leaf) not in taken]


def _shape(item: Leaf | Slot) -> tuple[int, ...]:
    return tuple(n for n in (item.shape if isinstance(item, Leaf) else item.sizes) if n != 1)


def _exact_shape(item: Leaf | Slot) -> tuple[int, ...]:
    """With its axes of length 1, but for those of one layer and of one projection."""
    if isinstance(item, Leaf):
        return item.shape
    return (*(n for n in item.sizes[:2] if n != 1), *item.sizes[2:])


_Key = Callable[[Leaf | Slot], object]
_KEYS: tuple[tuple[_Key, ...], ...] = (
    (
        lambda item: (_exact_shape(item), item.role, item.kind),
        lambda item: (_shape(item), item.role, item.kind),
        lambda item: (item.size, item.role, item.kind),
        lambda item: (item.size, item.role),
        lambda item: (item.size, item.kind),
        lambda item: item.size,
    ),
    (lambda item: (item.size, item.role, item.kind), lambda item: (item.size, item.kind)),
    (lambda item: (item.size, item.kind), lambda item: item.size),
    (lambda item: item.size,),
)
"""Senses in which parameters are alike, the strictest first; a row for each ``pairing``."""

PAIRINGS = len(_KEYS)


def _pair_by_use(
    slots: list[Slot], leaves: list[Leaf], pairing: int
) -> tuple[Pairs, list[Slot], list[Leaf]]:
    """Pair what is alike, the strictest sense of alike first; what is left over comes back."""
    pairs: Pairs = []
    for key in _KEYS[min(pairing, len(_KEYS) - 1)]:
        buckets: dict[object, tuple[list[Slot], list[Leaf]]] = defaultdict(lambda: ([], []))
        for slot in slots:
            buckets[key(slot)][0].append(slot)
        for leaf in leaves:
            buckets[key(leaf)][1].append(leaf)
        slots, leaves = [], []
        for some_slots, some_leaves in buckets.values():
            pair_up = list(
                zip(
                    sorted(some_slots, key=in_use_order),
                    sorted(some_leaves, key=in_use_order),
                    strict=False,
                )
            )
            if len(some_slots) == len(some_leaves) and all(map(_fits, *zip(*pair_up))):
                pairs += [(leaf, (slot,)) for slot, leaf in pair_up]
            else:
                slots += some_slots
                leaves += some_leaves
    return pairs, slots, leaves


def _fits(slot: Slot, leaf: Leaf) -> bool:
    return bool(arrangements(slot.names, slot.sizes, leaf.shape))

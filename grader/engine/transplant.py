"""Give a submission the reference's weights, whatever it named them and however it stores them.

``match`` pairs the reference's parameters with the submission's: by how many elements they
have, by what they are used for and by the order of use.  Where several pairings or layouts are
possible inside a block they are ``Choices``; ``choice_groups`` lists them, so that the judge
can try them on one case before it calls an answer wrong.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from functools import cached_property, lru_cache

import numpy as np

from grader.engine.layout import (
    Leaf,
    arrange,
    arrangements,
    factor_names,
    family,
    layer,
    parallel_group,
)

_MOST_LOOSE = 8
"""Split tables are looked for only among so few parameters that found no partner."""
_TICK = 1000
_FUSIONS = ((1, 1, 1), (3,), (1, 2), (2, 1))


@dataclass(frozen=True)
class Slot:
    """One or several parameters of the reference that a submission may store as one array."""

    group: str
    members: tuple[int, ...]
    names: tuple[str, ...]
    sizes: tuple[int, ...]
    used: int
    role: str
    kind: str
    rows: tuple[int, int] | None = None
    head: int | None = None

    @cached_property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.sizes)

    @property
    def base(self) -> str:
        """What shares one layout: kernels and biases of query, key and value, else itself."""
        return self.group.rsplit("/", 1)[0] if "qkv" in self.group else self.group


@dataclass(frozen=True)
class Choices:
    """Decisions that shapes alone do not make.

    Attributes:
      siblings: which of query, key and value stands first, second and third.
      orders: by group of parameters, the order of the factors.
      head_by_head: for heads kept apart, whether each head's query, key and value follow one
        another, or all queries come first.
      table: which of the possible ways to split a table among arrays.
      pairing: which of the ways to tell parameters of equal size apart.

    """

    siblings: tuple[int, ...] = (0, 1, 2)
    orders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    head_by_head: bool = True
    table: int = 0
    pairing: int = 0

    def __hash__(self) -> int:
        orders = tuple(sorted(self.orders.items()))
        return hash((self.siblings, orders, self.head_by_head, self.table, self.pairing))


DEFAULT = Choices()
_NO_ORDERS: Mapping[str, tuple[str, ...]] = {}


@dataclass(frozen=True)
class ChoiceGroup:
    """Alternatives for one decision, and when the weights that it concerns are used.

    ``uses`` is empty for a decision that may concern any weight.
    """

    uses: frozenset[int]
    options: tuple[Callable[[Choices], Choices], ...]


@dataclass(frozen=True)
class Match:
    """A full pairing: for each parameter of the submission the slots that fill it."""

    pieces: tuple[tuple[Leaf, tuple[Slot, ...]], ...]
    orders: Mapping[str, tuple[str, ...]]
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
            parts = [self._part(slot, reference) for slot in slots]
            if len(parts) == 1 and slots[0].rows is not None:
                filled[leaf.index] = parts[0].reshape(leaf.shape)
            elif len(parts) == 1:
                order = self._order(slots[0], leaf)
                filled[leaf.index] = arrange(parts[0], slots[0].names, order, leaf.shape)
            else:
                rows = [part.reshape(-1, part.shape[-1]) for part in parts]
                filled[leaf.index] = np.concatenate(rows).reshape(leaf.shape)
        return [filled[i] for i in sorted(filled)]

    def orders_used(self) -> dict[str, tuple[str, ...]]:
        """The order of the factors in each group of parameters, the most detailed one."""
        used: dict[str, tuple[str, ...]] = {}
        for leaf, slots in self.pieces:
            if len(slots) == 1 and slots[0].rows is None:
                order = self._order(slots[0], leaf)
                if len(order) > len(used.get(slots[0].base, ())):
                    used[slots[0].base] = order
        return used

    def _part(self, slot: Slot, reference: Sequence[np.ndarray]) -> np.ndarray:
        members = [reference[i] for i in slot.members]
        if slot.head is not None:
            members = [np.take(member, slot.head, axis=-2) for member in members]
        value = np.stack(members).reshape(slot.sizes)
        if slot.rows is None:
            return value
        return value.reshape(-1, slot.sizes[-1])[slot.rows[0] : slot.rows[1]]

    def _order(self, slot: Slot, leaf: Leaf) -> tuple[str, ...]:
        wanted = self.orders.get(slot.base)
        first = None
        for order in arrangements(slot.names, slot.sizes, leaf.shape):
            first = first or order
            if wanted is None or _agree(order, wanted):
                return order
        assert first is not None
        return first


def _agree(order: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether two orders arrange the factors that both have in the same way."""
    return [n for n in order if n in wanted] == [n for n in wanted if n in order]


@dataclass(frozen=True)
class Mismatch:
    """No pairing: what the submission lacks and what it has instead."""

    missing: tuple[Slot, ...]
    extra: tuple[Leaf, ...]


def match(
    reference: Sequence[Leaf], submission: Sequence[Leaf], choices: Choices = DEFAULT
) -> Match | Mismatch:
    """Pair the parameters of a submission with those of the reference."""
    found = _paired(_Leaves(reference), _Leaves(submission), replace(choices, orders=_NO_ORDERS))
    return replace(found, orders=choices.orders) if isinstance(found, Match) else found


class _Leaves:
    """Parameters as a key of a cache: the same when they are the same objects in the same order."""

    def __init__(self, leaves: Sequence[Leaf]) -> None:
        self.leaves = tuple(leaves)  # kept, so that no other object can have one of these numbers
        self._numbers = tuple(map(id, leaves))

    def __hash__(self) -> int:
        return hash(self._numbers)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Leaves) and self._numbers == other._numbers


@lru_cache(1024)
def _paired(reference: _Leaves, submission: _Leaves, choices: Choices) -> Match | Mismatch:
    """What ``match`` finds, but for the order of the factors, which decides no pairing."""
    theirs = [leaf for leaf in submission.leaves if leaf.size]
    sizes = Counter(leaf.size for leaf in theirs)
    tried = []
    for mode in _modes(reference.leaves):
        slots = _slots(reference, mode, choices.siblings, choices.head_by_head)
        tried.append(slots)
        ours = Counter(slot.size for slot in slots)
        if ((ours - sizes) + (sizes - ours)).total() > _MOST_LOOSE:
            continue  # what differs in size is no pair
        result = _assign(list(slots), theirs, choices)
        if result is not None:
            empty = tuple(leaf for leaf in submission.leaves if not leaf.size)
            return replace(result, empty=empty)
    differences = [_difference(slots, theirs) for slots in tried]
    return min(differences, key=lambda found: len(found.missing) + len(found.extra))


@dataclass(frozen=True)
class _Mode:
    """Which parameters of the reference share an array: layers, projections; heads may not."""

    stacked: bool
    fusion: tuple[int, ...]
    heads_apart: bool


def _modes(reference: Sequence[Leaf]) -> Iterator[_Mode]:
    layered = any(layer(leaf.path) is not None for leaf in reference)
    parallel = any(parallel_group(leaf.path) for leaf in reference)
    for apart in (False, True) if parallel else (False,):
        for stacked in (False, True) if layered else (False,):
            for fusion in _FUSIONS if parallel else _FUSIONS[:1]:
                yield _Mode(stacked, fusion, apart)


@lru_cache(1024)
def _slots(
    reference: _Leaves, mode: _Mode, siblings: tuple[int, ...], head_by_head: bool
) -> tuple[Slot, ...]:
    """The reference's parameters, fused, stacked and split as the mode says."""
    return tuple(_each_slot(reference.leaves, mode, siblings, head_by_head))


def _each_slot(
    reference: Sequence[Leaf], mode: _Mode, siblings: tuple[int, ...], head_by_head: bool
) -> Iterator[Slot]:
    units: dict[tuple[str, int | None], list[Leaf]] = defaultdict(list)
    for leaf in reference:
        if leaf.size:
            block = None if mode.stacked else layer(leaf.path)
            units[parallel_group(leaf.path) or family(leaf.path), block].append(leaf)
    for (group, _), leaves in units.items():
        by_layer: dict[int | None, list[Leaf]] = defaultdict(list)
        for leaf in sorted(leaves, key=lambda leaf: leaf.used or 0):
            by_layer[layer(leaf.path)].append(leaf)
        rows = list(by_layer.values())
        if len(rows[0]) == 3 and parallel_group(rows[0][0].path):
            rows = [[row[i] for i in siblings] for row in rows]
            yield from _projection_slots(group, rows, mode, head_by_head)
        else:
            for place in range(len(rows[0])):
                yield _slot(
                    group, [[row[place]] for row in rows], (rows[0][place].used or 0) * _TICK
                )


def _projection_slots(
    group: str, rows: list[list[Leaf]], mode: _Mode, head_by_head: bool
) -> Iterator[Slot]:
    """Slots for query, key and value, in the order of use that the choices suppose."""
    start, heads = 0, rows[0][0].shape[-2] if mode.heads_apart else 1
    used = min(leaf.used or 0 for leaf in rows[0]) * _TICK
    for place, count in enumerate(mode.fusion):
        members = [row[start : start + count] for row in rows]
        start += count
        for head in range(heads):
            rank = (head * 3 + place) if head_by_head else (place * heads + head)
            yield _slot(group, members, used + rank, head if mode.heads_apart else None)


def _slot(group: str, members: list[list[Leaf]], used: int, head: int | None = None) -> Slot:
    """One slot from members by layer and sibling."""
    model = members[0][0]
    names, shape = factor_names(model.path, model.shape), model.shape
    if head is not None:
        kept = [i for i, name in enumerate(names) if name != "head"]
        names, shape = tuple(names[i] for i in kept), tuple(shape[i] for i in kept)
    return Slot(
        group=group,
        members=tuple(leaf.index for row in members for leaf in row),
        names=("layer", "which", *names),
        sizes=(len(members), len(members[0]), *shape),
        used=used,
        role=model.role,
        kind=model.kind,
        head=head,
    )


_Pairs = list[tuple[Leaf, tuple[Slot, ...]]]


def _assign(slots: list[Slot], leaves: list[Leaf], choices: Choices) -> Match | None:
    """A full pairing, or None when something is left over on either side."""
    pairs, free_slots, free_leaves = _pair_by_use(slots, leaves, choices.pairing)
    if free_slots and free_leaves and len(free_slots) + len(free_leaves) <= _MOST_LOOSE:
        ways = list(_table_splits(free_slots, free_leaves))
        if ways:
            chosen, used_slots, used_leaves = ways[min(choices.table, len(ways) - 1)]
            rest_slots = [slot for slot in free_slots if slot not in used_slots]
            rest_leaves = [leaf for leaf in free_leaves if leaf not in used_leaves]
            more, free_slots, free_leaves = _pair_by_use(rest_slots, rest_leaves, choices.pairing)
            pairs += chosen + more
    if free_slots or free_leaves:
        return None
    return Match(tuple(pairs), choices.orders)


def _difference(slots: Sequence[Slot], leaves: list[Leaf]) -> Mismatch:
    """What one sequence of parameters, in order of use, has that the other lacks."""
    ours, theirs = sorted(slots, key=_in_use_order), sorted(leaves, key=_in_use_order)
    matcher = SequenceMatcher(
        None, [(x.size, x.role) for x in ours], [(x.size, x.role) for x in theirs], autojunk=False
    )
    missing, extra = dict(enumerate(ours)), dict(enumerate(theirs))
    for block in matcher.get_matching_blocks():
        for i in range(block.size):
            del missing[block.a + i], extra[block.b + i]
    lacking, unknown = list(missing.values()), list(extra.values())
    for slot in list(lacking):  # what only moved is not missing
        moved = next((x for x in unknown if (x.size, x.role) == (slot.size, slot.role)), None)
        if moved is not None and len(lacking) + len(unknown) > 2:
            lacking.remove(slot)
            unknown.remove(moved)
    return Mismatch(tuple(lacking), tuple(unknown))


def _in_use_order(leaf: Leaf | Slot) -> tuple[bool, int]:
    return (leaf.used is None, leaf.used or 0)


def _shape(item: Leaf | Slot) -> tuple[int, ...]:
    return tuple(n for n in (item.shape if isinstance(item, Leaf) else item.sizes) if n != 1)


_Key = Callable[[Leaf | Slot], object]
_KEYS: tuple[tuple[_Key, ...], ...] = (
    (
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


def _pair_by_use(
    slots: list[Slot], leaves: list[Leaf], pairing: int
) -> tuple[_Pairs, list[Slot], list[Leaf]]:
    """Pair what is alike, the strictest sense of alike first; what is left over comes back."""
    pairs: _Pairs = []
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
                    sorted(some_slots, key=_in_use_order),
                    sorted(some_leaves, key=_in_use_order),
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
    return next(arrangements(slot.names, slot.sizes, leaf.shape), None) is not None


def _table_splits(
    slots: list[Slot], leaves: list[Leaf]
) -> Iterator[tuple[_Pairs, list[Slot], list[Leaf]]]:
    """A table of the reference kept as two arrays, or two tables kept as one."""
    for slot in slots:
        width = slot.sizes[-1]
        for first, second in itertools.permutations(leaves, 2):
            fits = first.size + second.size == slot.size
            if fits and _is_table(first, width) and _is_table(second, width):
                cut = first.size // width
                upper = replace(slot, rows=(0, cut))
                lower = replace(slot, rows=(cut, slot.size // width))
                yield [(first, (upper,)), (second, (lower,))], [slot], [first, second]
        single = sorted((x for x in leaves if x.size == width and x.shape), key=_in_use_order)
        count = slot.size // width
        for chosen in itertools.combinations(single, count) if 2 < count <= len(single) else ():
            rows: _Pairs = [(x, (replace(slot, rows=(i, i + 1)),)) for i, x in enumerate(chosen)]
            yield rows, [slot], list(chosen)
    for leaf in leaves:
        for one, two in itertools.permutations(slots, 2):
            same_width = one.sizes[-1] == two.sizes[-1]
            if same_width and one.size + two.size == leaf.size and _is_table(leaf, one.sizes[-1]):
                yield [(leaf, (one, two))], [one, two], [leaf]


def _is_table(leaf: Leaf, width: int) -> bool:
    return bool(leaf.shape) and leaf.shape[-1] == width


def choice_groups(
    reference: Sequence[Leaf], submission: Sequence[Leaf], matched: Match
) -> list[ChoiceGroup]:
    """Every decision that ``matched`` made without being forced to, in order of use."""
    orders: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    uses: dict[str, set[int]] = defaultdict(set)
    for leaf, slots in matched.pieces:
        if len(slots) == 1 and slots[0].rows is None:
            slot = slots[0]
            found = list(arrangements(slot.names, slot.sizes, leaf.shape))
            if not orders[slot.base] or len(found[0]) > len(orders[slot.base][0]):
                orders[slot.base] = found
            uses[slot.base].update(reference[i].used or 0 for i in slot.members)
    groups = [_pairing_group(reference, submission, matched)]
    for base, possible in orders.items():
        siblings = list(itertools.permutations(range(3))) if base.endswith("qkv") else [None]
        options = tuple(_Layout(base, order, which) for order in possible for which in siblings)
        groups.append(ChoiceGroup(frozenset(uses[base]), options))
    return sorted((g for g in groups if len(g.options) > 1), key=lambda g: min(g.uses, default=0))


@dataclass(frozen=True)
class _Layout:
    """One option: the order of the factors of a group, and of query, key and value."""

    base: str
    order: tuple[str, ...]
    siblings: tuple[int, ...] | None

    def __call__(self, choices: Choices) -> Choices:
        orders = {**choices.orders, self.base: self.order}
        return replace(choices, orders=orders, siblings=self.siblings or choices.siblings)


@dataclass(frozen=True)
class _Pairing:
    """One option: how parameters of equal size are told apart, and tables are split."""

    pairing: int
    table: int
    head_by_head: bool

    def __call__(self, choices: Choices) -> Choices:
        return replace(
            choices, pairing=self.pairing, table=self.table, head_by_head=self.head_by_head
        )


def _pairing_group(
    reference: Sequence[Leaf], submission: Sequence[Leaf], matched: Match
) -> ChoiceGroup:
    options: list[_Pairing] = []
    seen: set[frozenset[tuple[Leaf, tuple[Slot, ...]]]] = set()
    apart = any(slots[0].head is not None for _, slots in matched.pieces)
    ways = itertools.product(
        range(len(_KEYS)), range(6 if matched.split else 1), (True, False) if apart else (True,)
    )
    for pairing, table, head_by_head in ways:
        option = _Pairing(pairing, table, head_by_head)
        other = match(reference, submission, option(DEFAULT))
        if isinstance(other, Match) and frozenset(other.pieces) not in seen:
            seen.add(frozenset(other.pieces))
            options.append(option)
    return ChoiceGroup(frozenset(), tuple(options))

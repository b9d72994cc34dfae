"""Decisions in pairing parameters that shapes alone do not make, as alternatives to try."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from grader.engine.layout import Leaf, arrangements, backwards
from grader.engine.pairing import DEFAULT, PAIRINGS, UNDONE, Choices
from grader.engine.slots import Mode, Slot, modes
from grader.engine.transplant import Match, match


@dataclass(frozen=True)
class ChoiceGroup:
    """Alternatives for one decision, and when the weights that it concerns are used.

    ``uses`` is empty for a decision that may concern any weight.
    """

    uses: frozenset[int]
    options: Iterable[Callable[[Choices], Choices]]


def choice_groups(
    reference: Sequence[Leaf], submission: Sequence[Leaf], matched: Match
) -> list[ChoiceGroup]:
    """Every decision that ``matched`` made without being forced to, in order of use."""
    orders: dict[str, tuple[tuple[str, ...], ...]] = defaultdict(tuple)
    uses: dict[str, set[int]] = defaultdict(set)
    parts: dict[str, set[str]] = defaultdict(set)
    stacked: dict[str, set[str]] = defaultdict(set)
    for leaf, slots in matched.pieces:
        if len(slots) == 1 and slots[0].rows is None:
            slot = slots[0]
            found = arrangements(slot.names, slot.sizes, leaf.shape)
            parts[slot.base].add(slot.layout)
            if slot.sizes[0] > 1 and slot.alone != slot.layout:
                stacked[slot.base].add(slot.alone)
            for shared in {slot.base, slot.layout, slot.alone}:
                if not orders[shared] or len(found[0]) > len(orders[shared][0]):
                    orders[shared] = found
                uses[shared].update(reference[i].used or 0 for i in slot.members)
    groups = [ChoiceGroup(frozenset(), _Pairings(reference, submission, matched))]

    def add(about: str, options: Sequence[Callable[[Choices], Choices]]) -> None:
        if len(options) > 1:
            groups.append(ChoiceGroup(frozenset(uses[about]), options))

    for base in parts:
        siblings = [s.siblings for s in _SIBLINGS] if base.endswith("qkv") else [None]
        possible = orders[base] if base.endswith("qkv") else _with_factors_backwards(orders[base])
        add(base, [_Layout(base, order, which) for which in siblings for order in possible])
    groups.sort(key=lambda group: min(group.uses, default=0))
    for base, layouts in parts.items():
        if layouts != {base}:  # what they share is settled: now each alone, then which is which
            for layout in sorted(layouts):
                add(layout, [_Layout(layout, order) for order in orders[layout]])
            add(base, _SIBLINGS)
        # With the layers on the same axis in kernels and biases, their orders differ.
        for alone in sorted(stacked[base]):
            add(alone, [_Layout(alone, order) for order in orders[alone]])
    return groups


_TURNED = (("head",), ("height", "width"), ("channel",))
"""Factors that an answer may count from their ends: its heads, where only their coming together
again shows the order, the pixels of a patch, which a convolution proper turns round, and the
channels, blue first."""


def _with_factors_backwards(orders: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
    """Orders of the factors, then the same with some counted from the last one."""
    turned = (
        backwards(order, factors)
        for factors in _TURNED
        for order in orders
        if set(factors) & set(order)
    )
    return (*orders, *turned)


@dataclass(frozen=True)
class _Layout:
    """One option: the order of the factors of a group or of one in it, and of query, key, value."""

    base: str
    order: tuple[str, ...]
    siblings: tuple[int, ...] | None = None

    def __call__(self, choices: Choices) -> Choices:
        others = {
            name: order
            for name, order in choices.orders.items()
            if not name.startswith(f"{self.base}#")
        }
        orders = {**others, self.base: self.order}
        return replace(choices, orders=orders, siblings=self.siblings or choices.siblings)


@dataclass(frozen=True)
class _Siblings:
    """One option: which of query, key and value is which, whatever the layout of each."""

    siblings: tuple[int, ...]

    def __call__(self, choices: Choices) -> Choices:
        return replace(choices, siblings=self.siblings)


_SIBLINGS = tuple(_Siblings(which) for which in itertools.permutations(range(3)))


@dataclass(frozen=True)
class _Pairing:
    """One option: how parameters of equal size are told apart, tables split, arrays shared."""

    pairing: int
    parts: int
    head_by_head: bool
    mode: Mode
    undone: int

    def __call__(self, choices: Choices) -> Choices:
        return replace(
            choices,
            pairing=self.pairing,
            parts=self.parts,
            head_by_head=self.head_by_head,
            mode=self.mode,
            undone=self.undone,
        )


class _Pairings:
    """The options of the first group, worked out as far as they are gone through."""

    def __init__(
        self, reference: Sequence[Leaf], submission: Sequence[Leaf], matched: Match
    ) -> None:
        self._found: list[_Pairing] = []
        self._rest = _pairings(reference, submission, matched)

    def __iter__(self) -> Iterator[_Pairing]:
        yield from self._found
        for option in self._rest:
            self._found.append(option)
            yield option


def _pairings(
    reference: Sequence[Leaf], submission: Sequence[Leaf], matched: Match
) -> Iterator[_Pairing]:
    """Every way to pair all parameters, those first that share arrays as ``matched`` does."""
    seen: set[tuple[int, frozenset[tuple[Leaf, tuple[Slot, ...]]]]] = set()
    factors = len(UNDONE) if any(leaf.factor != 1 for leaf in submission) else 1
    for mode in sorted(modes(reference), key=lambda mode: mode != matched.mode):
        if not _pairs(reference, submission, mode):
            continue
        ways = itertools.product(
            range(PAIRINGS),
            range(matched.part_ways),
            (True, False) if mode.heads_apart else (True,),
            range(factors),
        )
        for pairing, parts, head_by_head, undone in ways:
            option = _Pairing(pairing, parts, head_by_head, mode, undone)
            other = match(reference, submission, option(DEFAULT))
            if isinstance(other, Match) and other.mode == mode:
                found = undone, frozenset(other.pieces)
                if found not in seen:
                    yield option
                seen.add(found)


def _pairs(reference: Sequence[Leaf], submission: Sequence[Leaf], mode: Mode) -> bool:
    """Whether a mode pairs all parameters: the first way to pair is the one that does so most."""
    found = match(reference, submission, replace(DEFAULT, mode=mode))
    return isinstance(found, Match) and found.mode == mode

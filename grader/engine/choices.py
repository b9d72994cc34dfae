"""Decisions in pairing parameters that shapes alone do not make, as alternatives to try."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
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
    options: tuple[Callable[[Choices], Choices], ...]


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
    groups = [_pairing_group(reference, submission, matched)]
    for base in parts:
        siblings = [s.siblings for s in _SIBLINGS] if base.endswith("qkv") else [None]
        possible = orders[base] if base.endswith("qkv") else _with_factors_backwards(orders[base])
        options = tuple(_Layout(base, order, which) for order in possible for which in siblings)
        groups.append(ChoiceGroup(frozenset(uses[base]), options))
    groups.sort(key=lambda group: min(group.uses, default=0))
    for base, layouts in parts.items():
        if layouts != {base}:  # what they share is settled: now each alone, then which is which
            for layout in sorted(layouts):
                options = tuple(_Layout(layout, order) for order in orders[layout])
                groups.append(ChoiceGroup(frozenset(uses[layout]), options))
            groups.append(ChoiceGroup(frozenset(uses[base]), _SIBLINGS))
        # With the layers on the same axis in kernels and biases, their orders differ.
        for alone in sorted(stacked[base]):
            options = tuple(_Layout(alone, order) for order in orders[alone])
            groups.append(ChoiceGroup(frozenset(uses[alone]), options))
    return [group for group in groups if len(group.options) > 1]


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


def _pairing_group(
    reference: Sequence[Leaf], submission: Sequence[Leaf], matched: Match
) -> ChoiceGroup:
    options: list[_Pairing] = []
    seen: set[tuple[int, frozenset[tuple[Leaf, tuple[Slot, ...]]]]] = set()
    factors = len(UNDONE) if any(leaf.factor != 1 for leaf in submission) else 1
    possible = [mode for mode in modes(reference) if _pairs(reference, submission, mode)]
    for mode in sorted(possible, key=lambda mode: mode != matched.mode):
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
                    options.append(option)
                seen.add(found)
    return ChoiceGroup(frozenset(), tuple(options))


def _pairs(reference: Sequence[Leaf], submission: Sequence[Leaf], mode: Mode) -> bool:
    """Whether a mode pairs all parameters: the first way to pair is the one that does so most."""
    found = match(reference, submission, replace(DEFAULT, mode=mode))
    return isinstance(found, Match) and found.mode == mode

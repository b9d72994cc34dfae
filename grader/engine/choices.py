"""Decisions in pairing parameters that shapes alone do not make, as alternatives to try."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from grader.engine.layout import Leaf, arrangements
from grader.engine.slots import Slot
from grader.engine.transplant import DEFAULT, PAIRINGS, Choices, Match, match


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
        range(PAIRINGS), range(6 if matched.split else 1), (True, False) if apart else (True,)
    )
    for pairing, table, head_by_head in ways:
        option = _Pairing(pairing, table, head_by_head)
        other = match(reference, submission, option(DEFAULT))
        if isinstance(other, Match) and frozenset(other.pieces) not in seen:
            seen.add(frozenset(other.pieces))
            options.append(option)
    return ChoiceGroup(frozenset(), tuple(options))

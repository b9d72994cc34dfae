"""Pair parameters of the reference, as slots, with those of a submission.

By how many elements they have, by what they are used for and by the order of use; what is alike
with nothing may be in parts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from grader.engine.divided import DIVISIONS, divided
from grader.engine.layout import Leaf, arrangements
from grader.engine.slots import Mode, Slot
from grader.engine.tables import FEW, Pair, Pairs, in_use_order, is_whole_table, table_splits

TABLE_WAYS = 6
"""Of the ways to split tables so many are tried, then the `DIVISIONS`."""
PART_WAYS = TABLE_WAYS + DIVISIONS

UNDONE: tuple[Callable[[Leaf], bool], ...] = (
    lambda leaf: leaf.role in ("add", "token"),
    lambda _: True,
    lambda _: False,
)
"""Of which parameters a factor is their own affair (``0.02 * table``, ``w * n ** -0.5``), so that
the reference's stands for the product: a factor on a kernel may as well be the scale of the
scores."""


AND = " and "
"""Between the names of tables that one array holds."""


@dataclass(frozen=True)
class Choices:
    """Decisions that shapes alone do not make.

    Attributes:
      siblings: which of query, key and value stands first, second and third.
      orders: by group of parameters or by one layout in it, the order of the factors.
      head_by_head: for heads kept apart, whether each head's query, key and value follow one
        another, or all queries come first.
      parts: which of the possible ways to split tables and kernels among arrays.
      pairing: which of the ways to tell parameters of equal size apart.
      mode: which parameters share an array, where that is known: the way that is tried first.
      known: paths of which the group of slots is known that they belong to.
      tables: paths of which a draw has shown of which table they are rows, and from which row on,
        or which tables they hold one after the other (joined by `AND`): what they are likely to be
        on other draws, which may have more rows.
      undone: which of the factors of parameters are undone, as a place in `UNDONE`.

    """

    siblings: tuple[int, ...] = (0, 1, 2)
    orders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    head_by_head: bool = True
    parts: int = 0
    pairing: int = 0
    mode: Mode | None = None
    known: tuple[tuple[str, str], ...] = ()
    tables: tuple[tuple[str, str, int], ...] = ()
    undone: int = 0

    def __hash__(self) -> int:
        orders = tuple(sorted(self.orders.items()))
        learned = self.known, self.tables
        decided = self.siblings, self.head_by_head, self.parts, self.pairing, self.mode, self.undone
        return hash((orders, decided, learned))


DEFAULT = Choices()
_Paired = tuple[Pairs, list[Slot], list[Leaf]]
"""Pairs, and what is left over."""
_Step = Callable[[list[Slot], list[Leaf], Choices], _Paired]


def paired(slots: list[Slot], leaves: list[Leaf], choices: Choices) -> Pairs | None:
    """A full pairing, or None when something is left over on either side."""
    surely, slots, leaves = _pair_known(slots, leaves, dict(choices.known))
    as_shown = _pair_as_shown(slots, leaves, choices)
    if as_shown is not None:
        return surely + as_shown
    pairs, free_slots, free_leaves = _pair_alike(slots, leaves, choices.pairing)
    rest = _pair_parts(free_slots, free_leaves, choices)
    if rest is None or (choices.parts and any(map(is_row_of_a_table, pairs))):
        # A row of a table may have been taken for a token of its own.
        tables = [pair for pair in pairs if is_learned_table(pair)]
        others = [pair for pair in pairs if not is_learned_table(pair)]
        slots = [*free_slots, *(slot for _, (slot,) in tables)]
        leaves = [*free_leaves, *(leaf for leaf, _ in tables)]
        way = choices if rest is None else replace(choices, parts=choices.parts - 1)
        released = _pair_parts(slots, leaves, way)
        if released is not None:
            return surely + others + released
    return None if rest is None else surely + pairs + rest


def _pair_as_shown(slots: list[Slot], leaves: list[Leaf], choices: Choices) -> Pairs | None:
    """A full pairing in which tables are split and joined as on another draw, if there is one.

    Sizes alone may tell otherwise: with one patch and one register, CLS and register in one array
    are as large as the position table.
    """
    whole = Counter(group for _, group, _ in choices.tables)
    if not any(count > 1 or AND in group for group, count in whole.items()):
        return None  # nothing is split or joined
    paths = {path for path, _, _ in choices.tables}
    groups = {part for group in whole for part in group.split(AND)}
    held_slots = [slot for slot in slots if slot.group in groups]
    held_leaves = [leaf for leaf in leaves if leaf.path in paths]
    pairs, more_slots, more_leaves = _pair_alike(
        [slot for slot in slots if slot not in held_slots],
        [leaf for leaf in leaves if leaf not in held_leaves],
        choices.pairing,
    )
    rest = _pair_parts(held_slots + more_slots, held_leaves + more_leaves, choices)
    return None if rest is None else pairs + rest


def is_row_of_a_table(pair: Pair) -> bool:
    """Whether a learned token or table is paired with a piece of an array."""
    return pair[0].part is not None and is_learned_table(pair)


def is_learned_table(pair: Pair) -> bool:
    """Whether this is a learned token or table, or a part of one."""
    slot = pair[1][0]
    return is_whole_table(slot) and slot.role in ("add", "token") and slot.kind == "random"


def _pair_parts(slots: list[Slot], leaves: list[Leaf], choices: Choices) -> Pairs | None:
    """Pair what is alike with nothing: tables and kernels in parts, or two tables in one array."""
    steps = (_pair_tables, _pair_divided)
    ways = [steps, steps[::-1]]
    for way in ways if choices.parts < TABLE_WAYS else reversed(ways):
        pairs, free_slots, free_leaves = _pair_by(way, slots, leaves, choices)
        if not free_slots and not free_leaves:
            return pairs
    return None


def _pair_by(
    steps: Sequence[_Step], slots: list[Slot], leaves: list[Leaf], choices: Choices
) -> _Paired:
    """Take the first step that pairs something, until none does; what is alike then follows."""
    pairs: Pairs = []
    while slots and leaves:
        for step in steps:
            found, slots, leaves = step(slots, leaves, choices)
            if found:
                more, slots, leaves = _pair_alike(slots, leaves, choices.pairing)
                pairs += found + more
                choices = replace(choices, parts=0 if choices.parts < TABLE_WAYS else choices.parts)
                break
        else:
            break
    return pairs, slots, leaves


def _pair_tables(slots: list[Slot], leaves: list[Leaf], choices: Choices) -> _Paired:
    few = len(slots) + len(leaves) <= FEW
    if slots and leaves and (few or all(map(is_whole_table, slots))):
        learned = {path: (group, row) for path, group, row in choices.tables}
        ways = sorted(
            table_splits(slots, leaves),
            key=lambda way: (_unlike(way[0], learned), _arrays_in(way), _odd_in(way)),
        )
        if ways:
            chosen, used_slots, used_leaves = ways[min(choices.parts, len(ways) - 1)]
            rest_slots = [slot for slot in slots if slot not in used_slots]
            return chosen, rest_slots, [leaf for leaf in leaves if leaf not in used_leaves]
    return [], slots, leaves


def _arrays_in(way: _Paired) -> int:
    """How many arrays of the submission a way takes; the pieces of one belong together."""
    return len({leaf.index for leaf, _ in way[0]})


def _unlike(pairs: Pairs, learned: Mapping[str, tuple[str, int]]) -> int:
    """In how much a way differs from what other draws have shown."""
    shown = [(group_of(slots), learned[leaf.path]) for leaf, slots in pairs if leaf.path in learned]
    rows = [row for here, (group, row) in shown if here == group]
    return len(shown) - len(rows) + (rows != sorted(rows))


def group_of(slots: Sequence[Slot]) -> str:
    """What stands in an array, one after the other."""
    return AND.join(slot.group for slot in slots)


def _odd_in(way: _Paired) -> int:
    """How many arrays a way takes for something that they are not used for."""
    return sum(leaf.role not in {slot.role for slot in slots} for leaf, slots in way[0])


def _pair_divided(slots: list[Slot], leaves: list[Leaf], choices: Choices) -> _Paired:
    return divided(slots, leaves, max(0, choices.parts - TABLE_WAYS))


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
        if len(of_group) == 1 and of_group[0].size == leaf.size and fits(of_group[0], leaf):
            pairs.append((leaf, (of_group.pop(),)))
    taken = {id(item) for leaf, (slot,) in pairs for item in (leaf, slot)}
    free_slots = [slot for slot in slots if id(slot) not in taken]
    return pairs, free_slots, [leaf for leaf in leaves if id(leaf) not in taken]


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


def _as_needed(item: Leaf | Slot) -> tuple[int, ...]:
    """The order in which what is computed is needed, wherever a submission computes it."""
    return item.late if isinstance(item, Leaf) else (item.used,)


_ORDERS = (
    *((keys, in_use_order) for keys in _KEYS),
    *((keys, _as_needed) for keys in (_KEYS[0], _KEYS[-1])),
)
"""For each ``pairing`` a row of senses, and the order of those that are alike."""
PAIRINGS = len(_ORDERS)


def _pair_alike(
    slots: list[Slot], leaves: list[Leaf], pairing: int
) -> tuple[Pairs, list[Slot], list[Leaf]]:
    """Pair what is alike, the strictest sense of alike first; what is left over comes back."""
    pairs: Pairs = []
    keys, order = _ORDERS[min(pairing, PAIRINGS - 1)]
    for key in keys:
        buckets: dict[object, tuple[list[Slot], list[Leaf]]] = defaultdict(lambda: ([], []))
        for slot in slots:
            buckets[key(slot)][0].append(slot)
        for leaf in leaves:
            buckets[key(leaf)][1].append(leaf)
        slots, leaves = [], []
        for some_slots, some_leaves in buckets.values():
            pair_up = list(
                zip(
                    sorted(some_slots, key=order),
                    sorted(some_leaves, key=order),
                    strict=False,
                )
            )
            if len(some_slots) == len(some_leaves) and all(map(fits, *zip(*pair_up))):
                pairs += [(leaf, (slot,)) for slot, leaf in pair_up]
            else:
                slots += some_slots
                leaves += some_leaves
    return pairs, slots, leaves


def fits(slot: Slot, leaf: Leaf) -> bool:
    """Whether the factors of one can stand in the other's shape."""
    return bool(arrangements(slot.names, slot.sizes, leaf.shape))

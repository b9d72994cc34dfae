"""The reference's parameters, fused, stacked and split as a submission may store them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Literal, get_args

from grader.engine.layout import Leaf, common_path, factor_names, family, layer, parallel_group

_TICK = 1000
_APART = (1, 1, 1)
_FUSIONS: tuple[tuple[int, ...], ...] = (_APART, (3,), (1, 2), (2, 1))


@dataclass(frozen=True)
class Cut:
    """A stretch along one axis of a value of shape ``whole``."""

    whole: tuple[int, ...]
    axis: int
    start: int
    stop: int


@dataclass(frozen=True)
class Slot:
    """One or several parameters of the reference that a submission may store as one array.

    ``used`` puts in order those that can take each other's place, ``first`` puts in order all:
    query, key and value of a block stand together, head by head where heads are kept apart.
    ``path`` names its members, ``place`` is whether it comes first, second or third of the arrays
    that hold query, key and value; ``head`` is the axis and the number of the one head that it is;
    ``rows`` or ``cut`` is the part of its members that it is, if it is not all of them.
    """

    group: str
    members: tuple[int, ...]
    names: tuple[str, ...]
    sizes: tuple[int, ...]
    used: int
    role: str
    kind: str
    first: tuple[int, ...] = ()
    path: str = ""
    place: int | None = None
    rows: tuple[int, int] | None = None
    head: tuple[int, int] | None = None
    cut: Cut | None = None

    @cached_property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.sizes)

    @property
    def base(self) -> str:
        """What tends to share one layout: kernels and biases of query, key and value."""
        return _projections(self.group)

    @property
    def layout(self) -> str:
        """What has one layout: the kernel and the bias of one projection, else itself."""
        return self.base if self.place is None else f"{self.base}#{self.place}"

    @property
    def alone(self) -> str:
        """The kernel or the bias of one projection: stacked layers may stand elsewhere in each."""
        return self.base if self.place is None else f"{self.layout}#{self.group}"


def _projections(group: str) -> str:
    """The group without ``kernel`` or ``bias`` where it is one of query, key and value."""
    return group.rsplit("/", 1)[0] if "qkv" in group else group


class Leaves:
    """Parameters as a key of a cache: the same when they are the same objects in the same order."""

    def __init__(self, leaves: Sequence[Leaf]) -> None:
        self.leaves = tuple(leaves)  # kept, so that no other object can have one of these numbers
        self._numbers = tuple(map(id, leaves))

    def __hash__(self) -> int:
        return hash(self._numbers)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Leaves) and self._numbers == other._numbers


Stacks = Literal[
    "none", "all", "first", "last", "halves", "more_first", "backwards", "pairs", "first_pairs"
]


@dataclass(frozen=True)
class Mode:
    """Which parameters of the reference share an array.

    Attributes:
      stacks: which layers do: ``none``, ``all``, all but the ``first`` or the ``last``, those of
        each of two ``halves`` (an odd one in the second, or ``more_first``), all with the last one
        in front, ``backwards``, or the first and the second ones of all ``pairs``, where an odd one
        is alone at the end or comes first.
      fusion: of query, key and value, how many do, in the order of use.
      bias_fusion: the same for their biases.
      heads_apart: whether each head has query, key and value of its own.
      out_apart: whether each head has an output projection of its own.

    """

    stacks: Stacks
    fusion: tuple[int, ...]
    bias_fusion: tuple[int, ...]
    heads_apart: bool
    out_apart: bool


def modes(reference: Sequence[Leaf]) -> Iterator[Mode]:
    """Every way to share arrays, the plainest first."""
    layered = any(layer(leaf.path) is not None for leaf in reference)
    parallel = any(parallel_group(leaf.path) for leaf in reference)
    for number, (fusions, heads_apart, out_apart) in enumerate(_SHARINGS):
        if number and not parallel:
            break
        stacks_here = _STACKS if number == 0 else _STACKS[:2]
        for stacks in stacks_here if layered else _STACKS[:1]:
            for fusion, bias_fusion in fusions if parallel else fusions[:1]:
                yield Mode(stacks, fusion, bias_fusion, heads_apart, out_apart)


_STACKS: tuple[Stacks, ...] = get_args(Stacks)
_ALIKE = tuple((fusion, fusion) for fusion in _FUSIONS)
_UNLIKE = (*((fusion, _APART) for fusion in _FUSIONS[1:]), (_APART, (3,)))
_SHARINGS = (
    (_ALIKE, False, False),
    (_ALIKE, True, False),
    (_UNLIKE, False, False),
    (_ALIKE[:2], True, True),
    (_ALIKE[:2], False, True),
)
"""Fusions of kernels and of biases; whether heads, and whether their outputs, are apart."""


@lru_cache(1024)
def slots_of(
    reference: Leaves, mode: Mode, siblings: tuple[int, ...], head_by_head: bool
) -> tuple[Slot, ...]:
    """The reference's parameters, fused, stacked and split as the mode says."""
    slots = _each_slot(reference.leaves, mode, siblings, head_by_head)
    return tuple(map(_backwards, slots) if mode.stacks == "backwards" else slots)


def _each_slot(
    reference: Sequence[Leaf], mode: Mode, siblings: tuple[int, ...], head_by_head: bool
) -> Iterator[Slot]:
    units: dict[tuple[str, int | None], list[Leaf]] = defaultdict(list)
    layers = 1 + max((layer(leaf.path) or 0 for leaf in reference), default=0)
    for leaf in reference:
        if leaf.size:
            block = _stack(mode.stacks, layer(leaf.path), layers)
            units[parallel_group(leaf.path) or family(leaf.path), block].append(leaf)
    starts: dict[tuple[str, int | None], list[int]] = defaultdict(list)
    for (group, block), leaves in units.items():
        starts[_projections(group), block] += [leaf.used or 0 for leaf in leaves]
    for (group, block), leaves in units.items():
        by_layer: dict[int | None, list[Leaf]] = defaultdict(list)
        for leaf in sorted(leaves, key=lambda leaf: leaf.used or 0):
            by_layer[layer(leaf.path)].append(leaf)
        rows = list(by_layer.values())
        model = rows[0][0]
        if len(rows[0]) == 3 and parallel_group(model.path):
            rows = [[row[i] for i in siblings] for row in rows]
            start = min(starts[_projections(group), block])
            yield from _projection_slots(group, rows, mode, head_by_head, start)
        elif mode.out_apart and factor_names(model.path, model.shape)[:1] == ("head",):
            for head in range(model.shape[0]):
                yield _slot(group, rows, (model.used or 0) * _TICK + head, head)
        else:
            for place in range(len(rows[0])):
                yield _slot(
                    group, [[row[place]] for row in rows], (rows[0][place].used or 0) * _TICK
                )


def _stack(stacks: Stacks, layer: int | None, layers: int) -> int | None:
    """A number for the stack that a layer is in; None for what is in no layer."""
    if layer is None or stacks == "none":
        return layer
    if stacks in ("pairs", "first_pairs"):
        alone = (layers - 1 if stacks == "pairs" else 0) if layers % 2 else None
        return 2 if layer == alone else (layer + (alone == 0)) % 2
    firsts = {"first": 1, "last": layers - 1, "halves": layers // 2}
    firsts["more_first"] = layers - layers // 2
    return int(layer >= firsts.get(stacks, layers))


def _backwards(slot: Slot) -> Slot:
    """The same with its layers in the opposite order."""
    layers, each = slot.sizes[:2]
    rows = [slot.members[i * each : (i + 1) * each] for i in range(layers)]
    return replace(slot, members=tuple(member for row in reversed(rows) for member in row))


def _projection_slots(
    group: str, rows: list[list[Leaf]], mode: Mode, head_by_head: bool, start_of_all: int
) -> Iterator[Slot]:
    """Slots for query, key and value, in the order of use that the choices suppose."""
    start, heads = 0, rows[0][0].shape[-2] if mode.heads_apart else 1
    times = sorted(leaf.used or 0 for leaf in rows[0])
    fusion = mode.fusion if group.endswith("kernel") else mode.bias_fusion
    for place, count in enumerate(fusion):
        members = [row[start : start + count] for row in rows]
        for head in range(heads):
            rank = (head * 3 + place) if head_by_head else (place * heads + head)
            used = times[0] * _TICK + rank
            slot = _slot(group, members, used, head if mode.heads_apart else None)
            yield replace(slot, place=place, first=(start_of_all, head, times[start]))
        start += count


def _slot(group: str, members: list[list[Leaf]], used: int, head: int | None = None) -> Slot:
    """One slot from members by layer and sibling."""
    model = members[0][0]
    names, shape = factor_names(model.path, model.shape), model.shape
    axis = names.index("head") if head is not None else 0
    if head is not None:
        names, shape = names[:axis] + names[axis + 1 :], shape[:axis] + shape[axis + 1 :]
    return Slot(
        group=group,
        members=tuple(leaf.index for row in members for leaf in row),
        names=("layer", "which", *names),
        sizes=(len(members), len(members[0]), *shape),
        used=used,
        first=(min(leaf.used or 0 for row in members for leaf in row),),
        path=common_path(leaf.path for leaf in members[0]),
        role=model.role,
        kind=model.kind,
        head=None if head is None else (axis, head),
    )

"""The layouts in which one and the same weight can be stored.

A weight of the reference has *factors*, its axes in their finest form: a query kernel is
(in, head, dim).  Another implementation may order, flatten, stack or fuse them differently,
and compute the same: a ``Dense(D)`` kernel is (in, head·dim), a fused one (in, which·head·dim),
one under ``nn.scan`` has (layer, in, …).  Every such layout is a permutation of the factors
followed by a reshape.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

_PARALLEL = re.compile(r"(^|/)(query|key|value)(/|$)")
NUMBER = re.compile(r"\d+")
"""In a path: of a layer, mostly."""
_LAYER = re.compile(r"block_(\d+)")


@dataclass(frozen=True, eq=False)
class Part:
    """A piece of an array: the shape of the whole, and which elements, in the piece's shape."""

    whole: tuple[int, ...]
    elements: np.ndarray


@dataclass(frozen=True)
class Leaf:
    """One parameter as its owner sees it.

    Attributes:
      index: its place in the owner's list of parameters.
      path: ``/``-separated names.
      shape: as created.
      used: when it is first used, on the scale of ``dataflow``; None when it never is.
      role: what the first use is: ``kernel``, ``add``, ``scale``, ``token`` or a primitive.
      kind: how it starts: ``zeros``, ``ones``, ``fixed`` (no key decides it), ``random``, or
        ``unknown`` in a quick trace.
      plus_one: whether it is used as 1 + its value: a scale that is stored as its distance from
        one, and so starts at zero.
      part: which piece of an array it is, where one holds several.
      times: how often it is used.
      factor: the number that it is multiplied by before it is used (``w * n ** -0.5``).
      late: a key to sort by in which a sum that is made early and needed late counts as late.

    """

    index: int
    path: str
    shape: tuple[int, ...]
    used: int | None
    role: str
    kind: str
    plus_one: bool = False
    part: Part | None = None
    times: int = 1
    factor: float = 1.0
    late: tuple[int, int] = (0, 0)

    def starting(self, kind: str) -> Leaf:
        """The same parameter, with how it starts; what is 1 + zeros starts as ones.

        So does, but for noise, what is 1 + something random.
        """
        if not self.plus_one or self.role == "scale":
            scale = self.plus_one and kind in ("zeros", "random")
            return replace(self, kind="ones" if scale else kind, plus_one=scale)
        return replace(self, kind=kind, plus_one=False)

    @cached_property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    def of(self, values: Sequence[np.ndarray] | Mapping[int, np.ndarray]) -> np.ndarray:
        """Its numbers among those of all parameters of its owner."""
        whole = values[self.index]
        return whole if self.part is None else whole.ravel()[self.part.elements]


class Kinds:
    """How parameters start, learned from one trace and told to those that did not look.

    And of which a factor changes what they are, rather than how they are kept.

    Layers that the one trace did not have are taken to start like the others: numbers in a
    path do not count.
    """

    def __init__(self, leaves: Iterable[Leaf], as_they_are: Iterable[Leaf] = ()) -> None:
        self._known = {
            NUMBER.sub("#", leaf.path): "zeros" if leaf.plus_one else leaf.kind for leaf in leaves
        }
        self._as_they_are = {NUMBER.sub("#", leaf.path) for leaf in as_they_are}

    @property
    def refuses_factors(self) -> bool:
        """Whether some factor is not told on."""
        return bool(self._as_they_are)

    def told(self, leaves: Iterable[Leaf]) -> list[Leaf]:
        """The same leaves, each with its kind, and without a factor that is not its own affair."""
        return list(map(self._told, leaves))

    def _told(self, leaf: Leaf) -> Leaf:
        path = NUMBER.sub("#", leaf.path)
        known = leaf.starting(self._known.get(path, "random"))
        return replace(known, factor=1.0) if path in self._as_they_are else known


@lru_cache(4096)
def family(path: str) -> str:
    """The path without the number of the layer: the same for every encoder block."""
    return _LAYER.sub("block_*", path)


@lru_cache(4096)
def layer(path: str) -> int | None:
    """The number of the encoder block that a reference's path belongs to."""
    found = _LAYER.search(path)
    return int(found[1]) if found else None


@lru_cache(4096)
def parallel_group(path: str) -> str | None:
    """For a query, key or value projection: the name that the three have in common."""
    return _PARALLEL.sub(r"\1qkv\3", family(path)) if _PARALLEL.search(path) else None


def common_path(paths: Iterable[str]) -> str:
    """The family that paths have in common, with the names of the projections where it has some:
    ``block_*/attention/query, key/bias``.
    """
    families = [family(path) for path in paths]
    names = [found[2] for path in families if (found := _PARALLEL.search(path))]
    return _PARALLEL.sub(rf"\1{', '.join(names)}\3", families[0])


def factor_names(path: str, shape: Sequence[int]) -> tuple[str, ...]:
    """A name for each axis of a reference's parameter."""
    words = path.split("/")
    if _PARALLEL.search(path):
        return ("in", "head", "dim")[3 - len(shape) :]
    if words[-2:] == ["out", "kernel"] and len(shape) == 3:
        return ("head", "dim", "out")
    if words[-1] == "kernel" and len(shape) == 4:
        return ("height", "width", "channel", "out")
    return tuple(f"axis{i}" for i in range(len(shape)))


@lru_cache(4096)
def arrangements(
    names: tuple[str, ...], sizes: tuple[int, ...], shape: tuple[int, ...]
) -> tuple[tuple[str, ...], ...]:
    """Every order of the factors that fits ``shape``, the usual ones first.

    An order fits when the axes of ``shape`` (those longer than 1) are products of consecutive
    factors in that order, or split one factor (a table of N rows as a grid).  Where each axis is
    one factor, nothing is flattened or split: those come before all others.
    """
    target = [n for n in shape if n != 1]
    usual = {"layer": 0, "in": 1, "which": 2}  # a fused kernel is (in, which·head·dim)
    places = [i for i, n in enumerate(sizes) if n != 1]
    places.sort(key=lambda i: (usual.get(names[i], 3), i))
    fitting = [
        tuple(names[i] for i in order)
        for order in itertools.permutations(places)
        if _groups_into([sizes[i] for i in order], target)
    ]
    return tuple(sorted(fitting, key=lambda order: not is_plain(names, sizes, order, shape)))


def is_plain(
    names: Sequence[str], sizes: Sequence[int], order: Sequence[str], shape: Sequence[int]
) -> bool:
    """Whether each axis of ``shape`` is one factor when the factors stand in this order."""
    lengths = dict(zip(names, sizes, strict=True))
    return [lengths[name] for name in order] == [n for n in shape if n != 1]


def _groups_into(sizes: Sequence[int], target: Sequence[int]) -> bool:
    """Whether factors and axes agree, where either may be the product of several of the other."""
    ours, theirs = list(sizes), list(target)
    while ours and theirs:
        left, right = ours.pop(0), theirs.pop(0)
        merging, splitting = left < right, left > right
        while left < right and ours and merging:
            left *= ours.pop(0)
        while left > right and theirs and splitting:
            right *= theirs.pop(0)
        if left != right:
            return False
    return not ours and not theirs


def arrange(
    value: np.ndarray, names: Sequence[str], order: Sequence[str], shape: Sequence[int]
) -> np.ndarray:
    """``value`` with its factors in ``order`` (those left out have length 1), as ``shape``.

    A factor written as ``-head`` is counted from its end.
    """
    forward = [name.removeprefix("-") for name in order]
    left_out = [name for name in names if name not in forward]
    axes = [names.index(name) for name in (*left_out, *forward)]
    steps = [-1 if name.startswith("-") else 1 for name in (*left_out, *order)]
    cut = tuple(slice(None, None, step) for step in steps)
    return value.transpose(axes)[cut].reshape(shape)


def backwards(order: Sequence[str], factors: Sequence[str]) -> tuple[str, ...]:
    """The same order with some factors counted from their ends."""
    return tuple(f"-{name}" if name in factors else name for name in order)

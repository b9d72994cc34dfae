"""Which numbers an answer multiplies its parameters by as its own way to keep them.

``0.02 * table``, where the table is drawn as normal(1), is normal(0.02) kept otherwise.  A weight
that starts as it should and is halved before it is used is not: the model is applied with other
parameters than those that it made.  So the product has to start nearer to what is asked for than
the parameter itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from grader.engine.layout import Leaf

TABLE_STD = 0.02
"""How learned tokens and positions start (catalogue: ``normal(0.02)``)."""


def not_own(leaves: Sequence[Leaf], values: Sequence[np.ndarray]) -> list[Leaf]:
    """Those that are multiplied by a number, but not as a way to keep them.

    Args:
      leaves: the parameters of an answer.
      values: how they start.

    """
    return [
        leaf
        for leaf in leaves
        if leaf.factor != 1 and leaf.size and not _is_own(leaf, leaf.of(values))
    ]


def _is_own(leaf: Leaf, value: np.ndarray) -> bool:
    spread = float(np.std(value))
    if leaf.kind != "random" or not spread:
        return False
    product = abs(leaf.factor) * spread
    return _off(product, leaf) < _off(spread, leaf)


def _off(spread: float, leaf: Leaf) -> float:
    """How far a standard deviation is from one that is asked for, up to a factor."""
    return min(abs(math.log(spread / wanted)) for wanted in _wanted(leaf))


def _wanted(leaf: Leaf) -> Iterator[float]:
    """What is asked for: of kernels what Flax starts them with, over the features that come in."""
    if leaf.role in ("add", "token"):
        yield TABLE_STD
        return
    of_a_layer = math.prod(leaf.shape[1:-1])
    possible = {*leaf.shape[:1], *leaf.shape[-2:-1], of_a_layer, math.prod(leaf.shape[:-1])}
    for incoming in possible - {1} or {1}:  # an axis of one channel, or of one layer, tells nothing
        yield 1 / math.sqrt(incoming)

"""What a child tells, brought into a form that nothing behind it needs to doubt.

A child runs a stranger's code: whatever it says is of the type and the length asked for here, or
an error.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from grader.engine.layout import Leaf
from grader.engine.process import Lost

MOST_OF_A_FORM = 4000
_MOST_TOLD = 2000
"""Of parameters, outputs and the like: the judge works with what it is told."""
_MOST_NUMBERS = 2**21
"""In all parameters; the largest reference has 0.2 million, at the sizes that are drawn."""


def line_of(told: Any, most: int = 200) -> str:
    """What a child told, as one short line that can be shown anywhere."""
    text = told if type(told) is str else json.dumps(told)
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:most])


def printable(told: Any, depth: int = 4) -> Any:
    """What a child told, with texts that can be encoded, and not without end."""
    if type(told) is str:
        return told[:4000].encode("utf-8", "replace").decode()
    if isinstance(told, dict) and depth:
        pairs = list(told.items())[:100]
        return {printable(key): printable(value, depth - 1) for key, value in pairs}
    if isinstance(told, list) and depth:
        return [printable(item, depth - 1) for item in told[:100]]
    return told if isinstance(told, int | float | None) else str(told)[:200]


def names_in(told: Any) -> list[str]:
    """What a child told, as a list of names; whatever else it is counts as none."""
    return [line_of(name) for name in told[:100]] if isinstance(told, list) else []


def numbers_in(told: Any) -> list[int]:
    """What a child told, as a list of numbers; whatever else is in it is left out."""
    return [n for n in told[:100] if type(n) is int] if isinstance(told, list) else []


def few(told: Any) -> list[Any]:
    """What a child told, as a list that is not too long.  Raises ValueError."""
    if not isinstance(told, list) or len(told) > _MOST_TOLD:
        raise ValueError("not a list, or too long")
    return told


def shape_in(told: Any) -> tuple[int, ...]:
    """What a child told, as a shape.  Raises ValueError or TypeError."""
    if not all(type(n) is int and 0 <= n < 2**31 for n in few(told)) or len(told) > 32:
        raise ValueError("not a shape")
    return tuple(told)


def leaf_in(index: int, told: Mapping[str, Any]) -> Leaf:
    """A parameter as a child tells it.  Raises KeyError, ValueError or TypeError."""
    return Leaf(
        index=index,
        path=line_of(told["path"]),
        shape=shape_in(told["shape"]),
        used=None if told["used"] is None else int(told["used"]),
        role=line_of(told["role"], 40),
        kind=line_of(told["kind"], 40),
        plus_one=bool(told["plus_one"]),
        times=int(told["times"]),
        factor=_factor(told["factor"]),
        late=(int(told["late"][0]), int(told["late"][1])),
    )


def check_amount(leaves: Sequence[Leaf]) -> None:
    """The judge draws a number for each element of each parameter, in many cases.

    Raises:
      Lost: there are too many.

    """
    count = sum(math.prod(leaf.shape) for leaf in leaves)
    if count > _MOST_NUMBERS:
        raise Lost(
            "garbage",
            f"the parameters hold {count:,} numbers in all; at these sizes more than "
            f"{_MOST_NUMBERS:,} are not graded",
        )


def _factor(told: Any) -> float:
    factor = float(told)
    if not math.isfinite(factor) or not factor:
        raise ValueError("not a factor")
    return factor

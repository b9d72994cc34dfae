"""What several problems claim of an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grader.problem import Property, Run, Sizes

NEARLY = 1e-6


def same(one: Any, other: Any) -> bool:
    """Whether two arrays agree to about six digits of the larger one."""
    scale = max(abs(one).max(), abs(other).max(), 1e-12)
    return bool(one.shape == other.shape and abs(one - other).max() <= NEARLY * scale)


def untouched(function: str, given: Any, before: list[Any]) -> None:
    """An error if a function has changed what it was given, in place.

    Args:
      function: its name.
      given: a tree, after the call.
      before: the leaves of that tree before the call.

    """
    import jax

    after = jax.tree.leaves(given)
    if len(after) != len(before) or any(a is not b for a, b in zip(after, before, strict=True)):
        raise TypeError(f"{function} changes what it is given, in place; it should leave it alone")


def _equivariant(run: Run, arrays: Mapping[str, Any], sizes: Sizes) -> bool:
    upside_down = run({"x": arrays["x"][::-1]})[0]
    return same(upside_down[::-1], run(arrays)[0])


EQUIVARIANT = Property("permuted tokens give permuted results", _equivariant)

"""What a function returned: only arrays, and in which form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax


class NotAnArray(TypeError):
    """The function returned something that is no array."""


def as_arrays(result: Any) -> Any:
    """A result with an array in the place of every number.

    Raises:
      NotAnArray: something else is in it, or nothing at all.

    """
    for leaf in jax.tree_util.tree_leaves(result, is_leaf=lambda x: x is None):
        is_array = hasattr(leaf, "shape") and hasattr(leaf, "dtype")
        if not is_array and type(leaf) not in (int, float, bool):
            raise NotAnArray(f"the function returned {_kind_of(leaf)}, not an array")
    if not jax.tree_util.tree_leaves(result):
        raise NotAnArray("the function returned nothing")
    return jax.tree_util.tree_map(jax.numpy.asarray, result)


def _kind_of(value: Any) -> str:
    return "None (is a `return` missing?)" if value is None else f"a {type(value).__name__}"


def form_of(result: Any) -> str:
    """``(array, array)``: how a caller takes a result apart.

    A list unpacks as a tuple does, named or not; a dictionary gives its keys.
    """
    if isinstance(result, list | tuple):
        parts = [form_of(part) for part in result]
        return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"
    if isinstance(result, Mapping):
        items = sorted((repr(key), form_of(value)) for key, value in result.items())
        return "{" + ", ".join(f"{key}: {value}" for key, value in items) + "}"
    leaves = jax.tree_util.tree_leaves(result)
    alone = len(leaves) == 1 and leaves[0] is result
    return "array" if alone else f"{type(result).__name__} of {len(leaves)} arrays"

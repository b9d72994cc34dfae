"""What several problems claim of an answer."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from grader.problem import Property, Run, Sizes

NEARLY = 1e-6


def same(one: Any, other: Any) -> bool:
    """Whether two arrays agree to about six digits of the larger one."""
    scale = max(abs(one).max(), abs(other).max(), 1e-12)
    return bool(one.shape == other.shape and abs(one - other).max() <= NEARLY * scale)


@contextmanager
def untouched(function: str, **given: Any) -> Iterator[None]:
    """An error if what happens inside changes, in place, one of the things that it was given.

    Args:
      function: its name.
      given: trees, by the names of the arguments.

    """
    import jax

    before = {name: jax.tree.leaves(tree) for name, tree in given.items()}
    yield
    for name, tree in given.items():
        after = jax.tree.leaves(tree)
        if len(after) != len(before[name]) or any(map(operator.is_not, after, before[name])):
            raise TypeError(f"{function} changes {name}, in place; it should leave it as it is")


def _equivariant(run: Run, arrays: Mapping[str, Any], sizes: Sizes) -> bool:
    upside_down = run({"x": arrays["x"][::-1]})[0]
    return same(upside_down[::-1], run(arrays)[0])


EQUIVARIANT = Property("permuted tokens give permuted results", _equivariant)

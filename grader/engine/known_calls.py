"""Calls of modules of which it is known what they create and return.

To foresee how many numbers a mutant creates, its ``init`` is traced, again and again for models of
which most is alike.  A block that was called before, with arrays of the same shapes, is not called
again.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

_MOST_KEPT = 2000


@dataclass(frozen=True)
class _Known:
    """What a call creates, as sizes, and the shapes of what it returns."""

    sizes: Counter[int]
    outputs: Any


_known: dict[Hashable, _Known] = {}


class KnownCalls:
    """An interceptor of module methods (`flax.linen.intercept_methods`) for one ``init``.

    Attributes:
      sizes: those of the variables that were not created because a call is known.

    """

    def __init__(self) -> None:
        self.sizes: Counter[int] = Counter()
        self._counted: set[Any] = set()

    def __call__(self, call: Callable[..., Any], args: Any, kwargs: Any, context: Any) -> Any:
        """Make the call, or return zeros where it is known."""
        module = context.module
        key = _key(module, args, kwargs) if context.method_name == "__call__" else None
        if key is None:
            return call(*args, **kwargs)
        first = module.path not in self._counted
        self._counted.add(module.path)
        if key not in _known:
            before = Counter(self.sizes)
            output = call(*args, **kwargs)
            if first and len(_known) < _MOST_KEPT:
                made = Counter(math.prod(leaf.shape) for leaf in jax.tree.leaves(module.variables))
                shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), output)
                _known[key] = _Known(made + (self.sizes - before), shapes)
            return output
        if first:
            self.sizes += _known[key].sizes
        return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), _known[key].outputs)


def _key(module: Any, args: Any, kwargs: Any) -> Hashable | None:
    """What decides which sizes a call creates; None where that is not known."""
    fields = (f.name for f in dataclasses.fields(module) if f.name not in ("parent", "name"))
    leaves, tree = jax.tree.flatten((args, kwargs))
    shapes = tuple((getattr(x, "shape", x), str(getattr(x, "dtype", ""))) for x in leaves)
    key = type(module), tuple((n, _settled(getattr(module, n))) for n in fields), shapes, tree
    try:
        hash(key)
    except TypeError:
        return None
    return key


def _settled(value: Any) -> Any:
    """A field's value; of a function its name, as each ``normal(0.02)`` is another one."""
    return (value.__module__, value.__qualname__) if hasattr(value, "__qualname__") else value

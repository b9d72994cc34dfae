"""Calls of modules that are known from an earlier trace: not traced again, for all mutants.

Most of a mutant of a ViT is the reference's own: encoder blocks that no edit reaches, and layers
that are alike.  What such a call creates and computes depends on the shapes of what it is given
alone, so it is traced when it is first made and taken from there when it is made again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

_MOST_KEPT = 2000


@dataclass(frozen=True)
class _Creation:
    """What a call creates, by collection, and what it returns: trees of shapes."""

    variables: dict[str, Any]
    outputs: Any


_creations: dict[Hashable, _Creation] = {}
_programs: dict[Hashable, Callable[..., Any]] = {}


def reuse(call: Callable[..., Any], args: Any, kwargs: Any, context: Any) -> Any:
    """An interceptor (`flax.linen.intercept_methods`) while a reference solution is traced.

    Only for traces in which nobody asks for the values that parameters start with: known ones are
    zeros.
    """
    module = context.module
    if context.method_name == "__call__" and module.scope is not None:
        creates = module.is_initializing()
        key = _key(module, args, kwargs, creates)
        if key is not None and creates:
            return _created(key, module, lambda: call(*args, **kwargs))
        if key is not None and module.path and _is_block(module):
            return _computed(key, module, args, kwargs)
    return call(*args, **kwargs)


def _created(key: Hashable, module: Any, call: Callable[[], Any]) -> Any:
    known = _creations.get(key)
    if known is None:
        output = call()
        _keep(_creations, key, _Creation(*_shapes((dict(module.variables), output))))
        return output
    for collection, variables in known.variables.items():
        for name, tree in variables.items():
            module.scope.put_variable(collection, name, _zeros(tree))
    return _zeros(known.outputs)


def _computed(key: Hashable, module: Any, args: Any, kwargs: Any) -> Any:
    program = _programs.get(key)
    if program is None:
        alone = module.clone(parent=None, name=None)
        program = jax.jit(lambda variables, args, kwargs: alone.apply(variables, *args, **kwargs))
        _keep(_programs, key, program)
    return program(module.variables, args, kwargs)


def _keep(known: dict[Hashable, Any], key: Hashable, value: Any) -> None:
    if len(known) >= _MOST_KEPT:
        known.clear()
    known[key] = value


def _shapes(tree: Any) -> Any:
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), tree)


def _zeros(tree: Any) -> Any:
    return jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), tree)


def _is_block(module: Any) -> bool:
    """Whether a module is one of a reference solution, and none of Flax's."""
    return type(module).__module__.startswith("reference_")


def _key(module: Any, args: Any, kwargs: Any, creates: bool) -> Hashable | None:
    """What decides what a call computes, or which shapes it creates; None where it is not known.

    Of functions in its fields the names decide about shapes: each ``normal(0.02)`` is another one.
    """
    names = (f.name for f in dataclasses.fields(module) if f.name not in ("parent", "name"))
    fields = tuple((name, getattr(module, name)) for name in names)
    if creates:
        fields = tuple((name, _name_of(value)) for name, value in fields)
    leaves, tree = jax.tree.flatten((args, kwargs))
    if not all(hasattr(leaf, "shape") and hasattr(leaf, "dtype") for leaf in leaves):
        return None
    shapes = tuple((leaf.shape, str(leaf.dtype)) for leaf in leaves)
    key = type(module), fields, shapes, tree
    try:
        hash(key)
    except TypeError:
        return None
    return key


def _name_of(value: Any) -> Any:
    """The name of a function; any other value as it is."""
    return (value.__module__, value.__qualname__) if hasattr(value, "__qualname__") else value

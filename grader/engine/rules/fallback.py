"""Evaluate one equation with JAX itself, for primitives that have no NumPy rule."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from grader.engine.rules.values import held_dtype, hold, is_key, words_from_keys
from grader.jaxprs import bind_equation

_GENERATORS = {"fry": "threefry2x32", "rbg": "rbg", "urbg": "unsafe_rbg"}


def evaluate_with_jax(eqn: Any, inputs: list[Any]) -> list[np.ndarray]:
    """Held inputs to held outputs of `eqn`, by its own JAX implementation.

    Starts a JAX backend. Floats stay 64 bits wide where the equation names no width itself.
    """
    if _fits_any_width(eqn):
        try:
            with jax.enable_x64(True):
                return _evaluate(eqn, [jnp.asarray(np.asarray(x)) for x in inputs])
        except (TypeError, ValueError, NotImplementedError):
            pass  # it knows 32 bits only
    return _evaluate(eqn, [_to_jax(x, var.aval) for x, var in zip(inputs, eqn.invars, strict=True)])


def _evaluate(eqn: Any, arguments: list[Any]) -> list[np.ndarray]:
    results = zip(bind_equation(eqn, arguments), eqn.outvars, strict=True)
    return [hold(_plain(x), var.aval) for x, var in results]


def _fits_any_width(eqn: Any) -> bool:
    """Whether it computes with floats, and no parameter is a type or a program made for some."""
    dtypes = [getattr(var.aval, "dtype", None) for var in eqn.invars]
    if any(dtype is None or is_key(dtype) for dtype in dtypes):
        return False
    kinds = {held_dtype(dtype).kind for dtype in dtypes}
    bound = any(
        hasattr(leaf, "eqns")
        or hasattr(leaf, "dtype")
        or isinstance(leaf, np.dtype | type)
        or callable(leaf)
        for leaf in jax.tree_util.tree_leaves(eqn.params)
    )
    return bool(kinds & {"f", "c"}) and kinds <= set("fciub") and not bound


def _to_jax(value: Any, aval: Any) -> Any:
    if is_key(aval.dtype):
        tag = aval.dtype.name.removeprefix("key<").removesuffix(">")
        words = jnp.asarray(words_from_keys(value))
        return jax.random.wrap_key_data(words, impl=_GENERATORS[tag])
    return jnp.asarray(np.asarray(value).astype(aval.dtype))


def _plain(value: Any) -> Any:
    if isinstance(value, jax.Array) and is_key(value.dtype):
        return np.asarray(jax.random.key_data(value))
    return np.asarray(value)

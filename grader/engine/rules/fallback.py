"""Evaluate one equation with JAX itself, for primitives that have no NumPy rule."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from grader.engine.rules.values import hold, is_key, words_from_keys

_GENERATORS = {"fry": "threefry2x32", "rbg": "rbg", "urbg": "unsafe_rbg"}


def evaluate_with_jax(eqn: Any, inputs: list[Any]) -> list[np.ndarray]:
    """Held inputs to held outputs of `eqn`, by its own JAX implementation.

    Starts a JAX backend. Floats take the width that the equation names.
    """
    arguments = [_to_jax(x, var.aval) for x, var in zip(inputs, eqn.invars, strict=True)]
    params = eqn.primitive.get_bind_params(eqn.params)
    results = eqn.primitive.bind(*arguments, **params)
    if not eqn.primitive.multiple_results:
        results = [results]
    return [hold(_plain(x), var.aval) for x, var in zip(results, eqn.outvars, strict=True)]


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

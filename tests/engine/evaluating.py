"""What the tests of the evaluator share: a program, and its agreement with JAX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.ad_checkpoint
import jax.numpy as jnp
import numpy as np

from grader.engine.evaluate import Program

X = np.float32([[0.5, -1.0, 2.0, 0.25], [1.5, 3.0, -0.75, 1.0], [-2.0, 0.1, 0.3, 4.0]])


def program_of(function: Callable[..., Any], *arguments: Any) -> Program:
    return Program(jax.make_jaxpr(function)(*arguments))


def plain(value: Any) -> np.ndarray:
    """A jax value as the evaluator returns it."""
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        return np.asarray(jax.random.key_data(value))
    return np.asarray(value)


def agrees(
    function: Callable[..., Any], *arguments: Any, tolerance: float = 1e-5, fallbacks: str = ""
) -> None:
    """Check that NumPy and JAX give the same leaves, falling back exactly as expected."""
    program = program_of(function, *arguments)
    found = program.run(jax.tree.leaves(arguments))
    expected = [plain(x) for x in jax.tree.leaves(compiled(function)(*arguments))]
    assert program.fallbacks == set(fallbacks.split())
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Jitted, and compiled anew."""

    def fresh(*arguments: Any) -> Any:
        return function(*arguments)

    return jax.jit(fresh)

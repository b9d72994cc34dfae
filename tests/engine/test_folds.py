"""Reductions by any function, and primitives that only JAX has, are evaluated in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tests.engine.evaluating import agrees, program_of

X = np.random.default_rng(0).normal(size=(4, 5, 3)).astype(np.float32)
START = np.float32(0.5)


def mixed(a: Any, b: Any) -> Any:
    return a * b + a + b


def larger(one: Any, other: Any) -> Any:
    keep = one[0] > other[0]
    return jnp.where(keep, one[0], other[0]), jnp.where(keep, one[1], other[1])


@pytest.mark.parametrize(
    "function",
    [
        lambda x, start: lax.reduce(x, start, lax.add, (1,)),
        lambda x, start: lax.reduce(x, start, lax.max, (0, 2)),
        lambda x, start: lax.reduce(x, start, mixed, (0, 1, 2)),
        lambda x, start: lax.reduce(x, start, mixed, ()) + start,
        lambda x, start: lax.reduce(x[:, :0], start, lax.add, (1,)),
        lambda x, start: lax.reduce((x, 2 * x), (start, start), larger, (1,)),
        jax.vmap(lambda x, start: lax.reduce(x, start, lax.mul, (1,)), (0, None)),
        lambda x, start: lax.reduce_window(x, start, lax.add, (1, 2, 3), (1, 2, 1), "VALID"),
        lambda x, start: lax.reduce_window(
            x, 0 * start, mixed, (2, 2, 1), (1, 2, 1), "SAME", window_dilation=(1, 2, 1)
        ),
    ],
)
def test_a_fold_agrees_with_jax(function: Callable[..., Any]) -> None:
    agrees(function, X, START)


def test_several_folds_in_one_program_keep_apart() -> None:
    def sums(x: Any, start: Any) -> list[Any]:
        return [lax.reduce(x[:n], start, lax.add, (0, 1)) for n in range(1, 5)]

    agrees(sums, X, START)


def test_a_fold_is_recorded_as_one_value() -> None:
    program = program_of(lambda x, start: lax.reduce(x, start, mixed, (0, 1)), X, START)
    seen: list[tuple[str, tuple[int, ...]]] = []
    program.run(
        [X, START], record=lambda eqn, values: seen.append((eqn.primitive.name, values[0].shape))
    )
    assert seen == [("reduce", (3,))]


def spread(x: Any) -> Any:
    return x[0].T @ x[0] + 5 * jnp.eye(3)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, start: lax.reduce(x, start, lax.add, (0, 1, 2)) - (start + x.sum()),
        lambda x, start: jnp.fft.ifft(jnp.fft.fft(x)).real - x,
        lambda x, start: (
            jnp.linalg.cholesky(spread(x)) @ jnp.linalg.cholesky(spread(x)).T - spread(x)
        ),
        lambda x, start: jnp.linalg.eigvalsh(spread(x)).sum() - jnp.trace(spread(x)),
    ],
)
def test_nothing_is_rounded_to_float32(function: Callable[..., Any]) -> None:
    (found,) = program_of(function, X, START).run([X, START])
    np.testing.assert_allclose(found, 0, atol=1e-13)

"""The interpreter on random keys, and on what is drawn with them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from grader.engine.evaluate import Program
from tests.engine.evaluating import agrees, compiled, program_of


def test_keys_come_as_words_or_as_jax_keys_and_leave_as_words() -> None:
    keys = jax.random.split(jax.random.key(1), 3)
    words = np.asarray(jax.random.key_data(keys))
    program = program_of(lambda keys: (keys[1:], jax.random.bits(keys[0])), keys)
    for given_keys in (keys, words):
        rest, bits = program.run([given_keys])
        np.testing.assert_array_equal(rest, words[1:])
        assert bits == jax.random.bits(keys[0])


def test_shapes_of_key_arrays() -> None:
    def shuffle(keys: Any, i: Any) -> Any:
        grid = keys.reshape(2, 3)
        chosen = jnp.where(jnp.array([True, False]), grid[:, 0], grid[:, 2])
        return (
            keys[i],
            grid.T[1],
            jnp.concatenate([keys, keys[::-2]]),
            jnp.broadcast_to(keys[0], (2, 2)),
            jnp.expand_dims(grid, 1),
            jnp.take(keys, jnp.array([4, 1]), axis=0),
            lax.dynamic_slice(keys, (i,), (2,)),
            keys.at[i].set(keys[0]),
            chosen,
            jax.random.key_data(chosen),
        )

    agrees(shuffle, jax.random.split(jax.random.key(0), 6), np.int32(3), tolerance=0)


def test_loops_over_keys() -> None:
    def walk(key: Any) -> Any:
        keys = jax.random.split(key, 4)
        last, drawn = lax.scan(
            lambda c, k: (jax.random.fold_in(c, 7), (jax.random.bits(k), c)), key, keys
        )
        many = jax.vmap(lambda k: jax.random.bits(k, (3,), np.uint16))(keys)
        return last, drawn, many, lax.cond(jnp.any(many > 9), lambda: keys[0], lambda: keys[1])

    agrees(walk, jax.random.key(3), tolerance=0)


def sample(seed: Any) -> Any:
    key, old = jax.random.key(seed), jax.random.PRNGKey(seed)
    return (
        jax.random.normal(key, (3,)),
        jax.random.uniform(old, (2, 2), minval=-1),
        jax.random.randint(key, (5,), -3, 9),
        jax.random.bernoulli(key, 0.3, (4,)),
        jax.random.permutation(key, 6),
        jax.random.categorical(key, jnp.arange(4.0)),
        jax.random.truncated_normal(old, -1, 2, (3,)),
        jax.random.choice(key, 5, (2,), replace=False),
    )


@cache
def samplers() -> tuple[Program, Callable[..., Any]]:
    return program_of(sample, np.int32(0)), compiled(sample)


@settings(max_examples=10, deadline=None, derandomize=True, database=None)
@given(st.integers(-(2**31), 2**31 - 1))
def test_random_functions(seed: int) -> None:
    program, by_jax = samplers()
    found = program.run([np.int32(seed)])
    assert program.fallbacks == set()
    for ours, theirs in zip(found, by_jax(seed), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)

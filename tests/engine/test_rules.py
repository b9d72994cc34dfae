"""Every NumPy rule against the primitive it stands for, on random inputs.

Both sides compute in float64 (JAX in its 64-bit mode), so that they must agree closely.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from jax import lax

from grader.engine.evaluate import Program
from grader.engine.rules import RULES
from tests.engine.rules import CASES, Drawn

IDENTITIES = {
    "copy",
    "copy_p",
    "name",
    "stop_gradient",
    "sharding_constraint",
    "layout_constraint",
    "reshard",
    "pvary",
}
NEWER = {"log2", "one_minus_square", "polynomial"}
"""Primitives that the oldest JAX allowed does not have."""
IDENTITIES_OF_MANY = {"device_put", "optimization_barrier"}


def test_every_rule_is_tested() -> None:
    tested = {rule for entry in CASES.values() for rule in entry.rules}
    tested |= IDENTITIES | IDENTITIES_OF_MANY | {"tie"}
    tested |= {name for name in NEWER if not hasattr(lax, f"{name}_p")}
    assert set(RULES) == tested


@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")  # JAX, while tracing
@pytest.mark.parametrize("name", CASES)
def test_rule_agrees_with_jax(name: str) -> None:
    entry = CASES[name]
    seen: set[str] = set()

    @settings(max_examples=entry.count, deadline=None, derandomize=True, database=None)
    @given(entry.examples)
    def check(drawn: Drawn) -> None:
        seen.update(agrees(*drawn, entry.tolerance))

    check()
    assert entry.rules <= seen


def agrees(function: Callable[..., Any], arguments: list[Any], tolerance: float) -> set[str]:
    """Check NumPy against JAX on one example; returns the names of the evaluated primitives."""
    seen: set[str] = set()

    def record(eqn: Any, outputs: list[np.ndarray]) -> None:
        seen.add(eqn.primitive.name)
        for var, output in zip(eqn.outvars, outputs, strict=True):
            assert output.shape == var.aval.shape, eqn

    with jax.enable_x64(True):
        program = Program(jax.make_jaxpr(function)(*arguments))
        # Some of NumPy's arrays newer JAX would convert with NumPy.
        expected = jax.tree.leaves(function(*map(jnp.asarray, arguments)))
    found = program.run(arguments, record=record)
    assert program.fallbacks == set()
    for ours, theirs in zip(found, map(np.asarray, expected), strict=True):
        assert ours.dtype == (np.float64 if theirs.dtype.kind == "f" else theirs.dtype)
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)
    return seen


@pytest.mark.parametrize("name", sorted(IDENTITIES))
def test_identity(name: str) -> None:
    x = np.arange(3.0)
    assert RULES[name](None)(x) is x


@pytest.mark.parametrize("name", sorted(IDENTITIES_OF_MANY))
def test_identity_of_many(name: str) -> None:
    x, y = np.arange(3.0), np.arange(2.0)
    first, second = RULES[name](None)(x, y)
    assert first is x
    assert second is y


def test_tie_gives_its_second_operand() -> None:
    x, y = np.arange(3.0), np.arange(2.0)
    assert RULES["tie"](None)(x, y) is y


def test_older_random_order_agrees() -> None:
    def sample(words: Any) -> Any:
        key = jax.random.wrap_key_data(words)
        keys = jax.random.split(key, 3)
        bits = [jax.random.bits(key, (3, 5), dtype) for dtype in (np.uint8, np.uint16, np.uint32)]
        many = jax.vmap(lambda key: jax.random.bits(key, (5,), np.uint64))(keys)
        return *bits, many, jax.random.key_data(keys)

    with jax.threefry_partitionable(False):
        agrees(sample, [np.array([7, 11], np.uint32)], 0)


def test_narrow_floats_are_evaluated_in_float64() -> None:
    def narrow(x: Any) -> Any:
        return (x.astype(jnp.bfloat16) + 1).astype(np.float16)

    x = np.float32([1 / 3, 2.0])
    (found,) = Program(jax.make_jaxpr(narrow)(x)).run([x])
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, x.astype(np.float64) + 1)


def test_nextafter_uses_the_width_of_the_jaxpr() -> None:
    x, y = np.float32([0, 1, -3]), np.float32([1, 2, -9])
    (found,) = Program(jax.make_jaxpr(lax.nextafter)(x, y)).run([x, y])
    np.testing.assert_array_equal(found, lax.nextafter(x, y))

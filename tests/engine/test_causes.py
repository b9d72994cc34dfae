"""Exceptions that JAX and Flax raise for a student's mistake are told by their cause."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grader.engine.known_causes import CAUSES, cause_of
from grader.engine.submission import describe_error

KEY = jax.random.key(0)
X = jnp.ones((3, 4))


class Layer(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return nn.Dense(2)(x)


class SameName(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return nn.Dense(4, name="a")(nn.Dense(4, name="a")(x))


class FieldTwice(nn.Module):
    width: int = 3

    def setup(self) -> None:
        self.width = nn.Dense(2)

    def __call__(self, x: jax.Array) -> jax.Array:
        return x


class KeepsState(nn.Module):
    def setup(self) -> None:
        self.dense = nn.Dense(2)

    def __call__(self, x: jax.Array) -> jax.Array:
        self.last = x
        return self.dense(x)


class NotCompact(nn.Module):
    def __call__(self, x: jax.Array) -> jax.Array:
        return nn.Dense(2)(x)


class Dropping(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return nn.Dropout(0.5, deterministic=False)(x)


class Averaging(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return nn.Dense(3)(x.mean())


class Rows(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return x + self.param("rows", nn.initializers.zeros, x.shape)


def assign_in_place() -> None:
    X[0] = 1  # type: ignore[index]


def leak() -> object:
    kept: list[jax.Array] = []
    jax.jit(lambda x: kept.append(x + 1))(X)
    return kept[0] + 1


def calls_itself() -> None:
    calls_itself()


MISTAKES: dict[str, tuple[str, Callable[[], object]]] = {
    "an if on a value": ("traced-condition", lambda: jax.jit(lambda x: 1 if x.sum() > 0 else 2)(X)),
    "numpy": ("numpy-on-traced", lambda: jax.jit(np.asarray)(X)),
    "int of a value": ("traced-size", lambda: jax.jit(lambda x: int(x.sum()))(X)),
    "a value as index": ("traced-size", lambda: jax.jit(lambda x: [1, 2][x.argmax()])(X)),
    "a value as size": ("traced-size", lambda: jax.jit(lambda x: jnp.zeros(x.argmax()))(X)),
    "in place": ("in-place", assign_in_place),
    "seed as key": ("key-from-int", lambda: Layer().init(0, X)),
    "arguments of init exchanged": ("key-from-int", lambda: Layer().init(X, KEY)),
    "int to jax.random": ("key-from-int", lambda: jax.random.normal(0, (2,))),
    "dropout": ("random-at-run-time", lambda: Dropping().apply({}, X)),
    "no init": ("no-init", lambda: Layer()(X)),
    "apply without variables": ("wrong-variables", lambda: Layer().apply({}, X)),
    "apply on bare params": (
        "wrong-variables",
        lambda: Layer().apply(Layer().init(KEY, X)["params"], X),
    ),
    "params of params": ("wrong-variables", lambda: Layer().init(KEY, X)["params"]["params"]),
    "name twice": ("name-twice", lambda: SameName().init(KEY, X)),
    "field twice": ("field-twice", lambda: FieldTwice().init(KEY, X)),
    "state in call": ("state-in-call", lambda: KeepsState().init(KEY, X)),
    "not compact": ("not-compact", lambda: NotCompact().init(KEY, X)),
    "other shape at apply": (
        "other-shape-at-apply",
        lambda: Rows().apply(Rows().init(KEY, X), X[:2]),
    ),
    "heads do not divide": (
        "heads-do-not-divide",
        lambda: nn.MultiHeadDotProductAttention(3).init(KEY, X),
    ),
    "a vector with rows": ("vector-with-rows", lambda: jnp.concatenate([X[0], X])),
    "a batch axis in one": ("axes-differ-in-number", lambda: jnp.concatenate([X[None, :1], X])),
    "widths differ": ("widths-differ", lambda: jnp.concatenate([jnp.ones((1, 5)), X])),
    "a row more": ("one-row-apart", lambda: X + jnp.ones((4, 4))),
    "two rows more": ("lengths-apart", lambda: X + jnp.ones((5, 4))),
    "a reshape": ("reshape-size", lambda: X.reshape(3, 3, 1)),
    "a product": ("contraction", lambda: X @ jnp.ones((5, 4))),
    "an einsum": ("contraction", lambda: jnp.einsum("ij,jk->ik", X, jnp.ones((5, 4)))),
    "a mean over everything": ("axis-missing", lambda: Averaging().init(KEY, X)),
    "an axis too far": ("axis-missing", lambda: X.mean(axis=3)),
    "an axis too far to transpose": ("axis-missing", lambda: jnp.transpose(X, (0, 1, 2))),
    "arrays one by one": ("several-arrays", lambda: jnp.concatenate(X, X)),
    "gradient of an array": ("gradient-of-array", lambda: jax.grad(lambda x: x)(X)),
    "torch": ("torch-names", lambda: jnp.cat([X])),
    "a torch method": ("torch-names", lambda: X.unsqueeze(0)),
    "fields missing": ("field-missing", nn.Dense),
    "recursion": ("calls-itself", calls_itself),
    "a leaked tracer": ("leaked-tracer", leak),
    "a cached function": ("array-as-key", lambda: jax.jit(lru_cache(jnp.sin))(X)),
    "a static array": ("array-as-key", lambda: jax.jit(jnp.sin, static_argnums=0)(X)),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_an_exception_is_told_by_its_cause(name: str) -> None:
    expected, run = MISTAKES[name]
    with pytest.raises(Exception) as caught:
        run()
    found = cause_of(describe_error(caught.value, __file__, ""))
    assert found is not None, (type(caught.value), str(caught.value))
    assert found.id == expected


def test_every_cause_is_tried_here() -> None:
    assert {cause.id for cause in CAUSES} == {expected for expected, _ in MISTAKES.values()}


def test_an_exception_of_the_students_own_has_no_cause() -> None:
    assert cause_of(describe_error(ValueError("patch_size must be positive"), __file__, "")) is None

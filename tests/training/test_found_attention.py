"""Attention is found in a jaxpr however it is written, and nothing else is taken for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from solutions.training import found_attention, fused
from solutions.training.fused import Kernel
from solutions.training.products import with_fast_products

IMAGES, TOKENS, HEADS, CHANNELS = 3, 5, 2, 4
LAYERS = 2


def qkv(heads: int = HEADS, channels: int = CHANNELS) -> list[jax.Array]:
    """For a batch: (B, T, heads, channels) each."""
    keys = jax.random.split(jax.random.key(0), 3)
    return [jax.random.normal(key, (IMAGES, TOKENS, heads, channels)) for key in keys]


def of_heads(q: Any, k: Any, v: Any) -> Any:
    weights = jax.nn.softmax(jnp.einsum("bqhd,bkhd->bhqk", q, k) / 2, axis=-1)
    return jnp.einsum("bhqk,bkhd->bqhd", weights, v)


def by_hand(q: Any, k: Any, v: Any) -> Any:
    raised = jnp.exp(0.3 * jnp.einsum("bqhd,bkhd->bhqk", q, k))
    return jnp.einsum("bhqk,bkhd->bhqd", raised / raised.sum(-1, keepdims=True), v)


def keys_first(q: Any, k: Any, v: Any) -> Any:
    scores = jnp.einsum("bkhd,bqhd->bkqh", k, q)
    return jnp.einsum("bkhd,bkqh->dbqh", v, jnp.exp(jax.nn.log_softmax(scores, axis=1)))


def by_loops(q: Any, k: Any, v: Any) -> Any:
    def head(q: Any, k: Any, v: Any) -> Any:
        return jax.nn.softmax(q @ k.T, axis=1) @ v

    of_image = jax.vmap(head, in_axes=1, out_axes=1)
    return jnp.stack([of_image(*parts) for parts in zip(q, k, v, strict=True)])


def keys_on_the_left(q: Any, k: Any, v: Any) -> Any:
    def head(q: Any, k: Any, v: Any) -> Any:
        return jax.nn.softmax(jax.lax.dot(k, q.T), axis=0).T @ v

    return jax.vmap(jax.vmap(head, in_axes=1, out_axes=1))(q, k, v)


def layers(q: Any, k: Any, v: Any) -> Any:
    def layer(x: Any, _: Any) -> tuple[Any, None]:
        return jax.checkpoint(of_heads)(x, k, v), None

    return jax.lax.scan(layer, q, None, length=LAYERS)[0]


def in_calls(q: Any, k: Any, v: Any) -> Any:
    @jax.jit
    def of_image(q: Any, k: Any, v: Any) -> Any:
        weights = jax.jit(jax.nn.softmax)(jnp.einsum("qhd,khd->hqk", q, k))
        return jnp.einsum("hqk,khd->qhd", weights, v)

    return jax.vmap(of_image)(q, k, v)


def library(q: Any, k: Any, v: Any) -> Any:
    return jax.nn.dot_product_attention(q, k, v)


def without_a_softmax(q: Any, k: Any, v: Any) -> Any:
    return jnp.einsum("bhqk,bkhd->bqhd", jax.nn.sigmoid(jnp.einsum("bqhd,bkhd->bhqk", q, k)), v)


def over_queries(q: Any, k: Any, v: Any) -> Any:
    weights = jax.nn.softmax(jnp.einsum("bqhd,bkhd->bhqk", q, k), axis=2)
    return jnp.einsum("bhqk,bkhd->bqhd", weights, v)


def over_heads(q: Any, k: Any, v: Any) -> Any:
    weights = jax.nn.softmax(jnp.einsum("bqhd,bkhd->bhqk", q, k), axis=1)
    return jnp.einsum("bhqk,bkhd->bqhd", weights, v)


def of_other_heads(q: Any, k: Any, v: Any) -> Any:
    weights = jax.nn.softmax(jnp.einsum("bqhd,bkhd->bhqk", q, k))
    return jnp.einsum("bhqk,bkgd->bqgd", weights, v)


def masked(q: Any, k: Any, v: Any) -> Any:
    scores = jnp.einsum("bqhd,bkhd->bhqk", q, k)
    scores = jnp.where(jnp.tri(TOKENS, dtype=bool), scores, -1e9)
    return jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores), v)


def clipped(q: Any, k: Any, v: Any) -> Any:
    scores = jnp.clip(jnp.einsum("bqhd,bkhd->bhqk", q, k) / 2, -50, 50)
    return jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores), v)


def with_a_bias(q: Any, k: Any, v: Any) -> Any:
    scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) + v.sum()
    return jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores * k.sum()), v)


def of_two_scores(q: Any, k: Any, v: Any) -> Any:
    scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) + jnp.einsum("bqhd,bkhd->bhqk", q, v)
    return jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores), v)


def of_one_query(q: Any, k: Any, v: Any) -> Any:
    return of_heads(q[:, :1], k, v)


def of_two_queries(q: Any, k: Any, v: Any) -> Any:
    return of_heads(q[:, :2], k, v)


def of_wider_values(q: Any, k: Any, v: Any) -> Any:
    return of_heads(q, k, jnp.concatenate([v, v], axis=-1))


def with_gradients(function: Callable[..., Any], given: list[jax.Array]) -> list[jax.Array]:
    """Its values, and the gradients of a number made of them."""

    def number(*given: Any) -> tuple[Any, Any]:
        values = function(*given)
        return jnp.sin(values).sum(), values

    calculate = jax.value_and_grad(number, argnums=(0, 1, 2), has_aux=True)
    return jax.tree.leaves(jax.jit(calculate)(*given))


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Of each attention that is computed by a kernel."""
    asked: list[str] = []

    def attend(q: Any, k: Any, v: Any, kernel: Kernel, **options: Any) -> Any:
        asked.append(kernel)
        return fused.attend(q, k, v, kernel, **options)

    monkeypatch.setattr(found_attention, "attend", attend)
    return asked


@pytest.mark.parametrize(
    ("heads", "channels"),
    [(2, 4), *(pytest.param(*sizes, marks=pytest.mark.slow) for sizes in ((2, 1), (1, 4)))],
)
@pytest.mark.parametrize(
    "mix", [of_heads, by_hand, keys_first, by_loops, keys_on_the_left, layers, in_calls, library]
)
def test_attention_is_found_however_it_is_written(
    mix: Callable[..., Any], heads: int, channels: int, kernels: list[str]
) -> None:
    given = qkv(heads, channels)
    fast = with_fast_products(mix, narrow=True, kernel="xla")
    jax.eval_shape(fast, *given)
    assert kernels == ["xla"] * {by_loops: IMAGES, layers: LAYERS}.get(mix, 1)
    for one, other in zip(*(with_gradients(f, given) for f in (fast, mix)), strict=True):
        assert jnp.linalg.norm(one - other) < 0.03 * jnp.linalg.norm(other)


@pytest.mark.parametrize(
    "mix",
    [
        *(without_a_softmax, over_queries, over_heads, of_other_heads),
        *(masked, clipped, with_a_bias, of_two_scores),
        *(of_one_query, of_two_queries, of_wider_values),
    ],
)
def test_what_is_no_attention_stays(mix: Callable[..., Any], kernels: list[str]) -> None:
    jax.eval_shape(with_fast_products(mix, narrow=True, kernel="xla"), *qkv())
    assert not kernels

"""On accelerators a student's float32 model trains with activations as narrow as the reference's.

These run on CPUs, told that they are something else: what is computed is the same there.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grader.catalogue import ROOT
from grader.engine.submission import load
from solutions.training.mine_model import model_of
from solutions.training.models import Model, build
from solutions.training.products import with_fast_products
from solutions.training.recipe import Recipe

ANSWERS = ROOT / "tests" / "answers"
RECIPE = Recipe(
    name="tiny",
    model="cls",
    patch_size=4,
    width=48,
    heads=2,
    depth=2,
    mlp=192,
    dtype="bfloat16",
)
IMAGES = np.random.default_rng(0).normal(size=(8, 16, 16, 3)).astype(np.float32)


@contextmanager
def on_an_accelerator() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(jax, "default_backend", lambda: "gpu")
        yield


def loss(model: Model, params: Any) -> Any:
    return jnp.sin(model.apply(params, IMAGES)).sum()


def kept_for_gradients(model: Model, params: Any) -> int:
    """Bytes from the forward to the backward pass."""

    def kept(params: Any) -> Any:
        return jax.tree.leaves(jax.vjp(lambda p: loss(model, p), params)[1])

    return sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.eval_shape(kept, params))


def gradients(model: Model, params: Any) -> np.ndarray:
    found = jax.jit(jax.grad(lambda p: loss(model, p)))(params)
    if model.layout is not None:
        found = model.layout.to_reference(found)
    return np.concatenate([leaf.ravel() for leaf in jax.tree.leaves(found)])


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "raw_params",
        "setup_fused_qkv",
        "scan_stacked",
    ],
)
def test_an_answer_is_as_narrow_and_as_exact_as_the_reference(name: str) -> None:
    path = ANSWERS / "46_vit_cls" / "right" / f"{name}.py"
    exact = build(dataclasses.replace(RECIPE, dtype="float32"), IMAGES.shape[1:], 10)
    params = exact.init(jax.random.key(0))
    wanted = gradients(exact, params)
    answer = model_of(load(path.read_text(), str(path), "answer"), RECIPE, IMAGES.shape[1:], 10)
    theirs = answer.init(jax.random.key(0))
    with on_an_accelerator():
        reference = build(RECIPE, IMAGES.shape[1:], 10)
        assert kept_for_gradients(answer, theirs) < 1.1 * kept_for_gradients(reference, params)
        apart, allowed = (
            np.linalg.norm(gradients(*each) - wanted)
            for each in ((answer, theirs), (reference, params))
        )
    assert 0 < apart < 1.5 * allowed


def normalised(x: Any) -> Any:
    """LayerNorm by mean and mean square, which takes differences of large numbers."""
    mean = x.mean(axis=-1, keepdims=True)
    return (x - mean) / jnp.sqrt((x * x).mean(axis=-1, keepdims=True) - mean**2)


def long_loop(x: Any) -> Any:
    def pass_on(carry: Any, row: Any) -> Any:
        return jnp.tanh(carry @ KERNEL), row @ KERNEL

    carry, rows = jax.lax.scan(pass_on, x, jnp.stack([x] * 40))
    return carry + rows.mean(axis=0)


def with_library_functions(x: Any) -> Any:
    return jax.nn.relu(x) + jax.nn.silu(x) + jnp.where(x > 0, x, 0.5) + jax.nn.logsumexp(x)


def with_a_condition(x: Any) -> Any:
    return jax.lax.cond(x.sum() > 0, lambda y: y + 1, lambda y: y * 2, x)


def with_a_while_loop(x: Any) -> Any:
    x = jax.lax.stop_gradient(x)
    return jax.lax.while_loop(lambda y: jnp.abs(y).max() > 0.5, lambda y: y / 2, x)


def with_a_table(x: Any) -> Any:
    return (x + jnp.asarray(np.sin(np.arange(8.0, dtype=np.float32))))[jnp.arange(4)[::-1]]


def with_room(x: Any) -> Any:
    return jnp.zeros((6, 8)).at[1:5].set(x) + jnp.pad(x, ((0, 2), (0, 0)), constant_values=1)


KERNEL = jax.random.normal(jax.random.key(1), (8, 8)) / 3
BETWEEN = [
    *(normalised, long_loop, with_library_functions, with_a_condition),
    *(with_a_while_loop, with_a_table, with_room),
]


@pytest.mark.parametrize("between", BETWEEN)
def test_what_stands_between_two_products_is_nearly_the_same(between: Callable[..., Any]) -> None:
    x = 4 + jax.random.normal(jax.random.key(0), (4, 8))

    def run(x: Any, kernel: Any) -> Any:
        result = between(x @ kernel) @ kernel
        return (jnp.tanh(result / 8) ** 2).sum(), result

    wanted = jax.value_and_grad(run, argnums=(0, 1), has_aux=True)(x, KERNEL)
    with on_an_accelerator():
        fast = with_fast_products(run, narrow=True)
        found = jax.jit(jax.value_and_grad(fast, argnums=(0, 1), has_aux=True))(x, KERNEL)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert one.dtype == other.dtype == jnp.float32
        assert jnp.linalg.norm(one - other) <= 0.1 * jnp.linalg.norm(other)


def summed(row: Any) -> Any:
    return row.sum()


def squared(row: Any) -> Any:
    return (row * row).sum()


def squared_for_a_call(row: Any) -> Any:
    return jax.jit(lambda squares: squares.sum())(row * row)


def squared_in_steps(row: Any) -> Any:
    return (-((-row * row).reshape(63, -1))).sum()


@pytest.mark.parametrize("total", [summed, squared, squared_for_a_call, squared_in_steps])
def test_sums_and_what_is_only_summed_are_exact(total: Callable[..., Any]) -> None:
    row = jnp.full((1, 4095), 1 + 5 / 2**7, np.float32)  # bfloat16, but its square is not
    with on_an_accelerator():
        found = with_fast_products(total, narrow=True)(row)
    assert abs(found / total(row) - 1) < 1e-5


def test_what_is_not_only_summed_is_narrow() -> None:
    def twice(row: Any) -> Any:
        squares = row * row
        return squares.sum(), squares

    with on_an_accelerator():
        program = jax.make_jaxpr(with_fast_products(twice, narrow=True))(jnp.ones((2, 8)))
    assert [eqn.outvars[0].aval.dtype for eqn in program.eqns if eqn.primitive.name == "mul"] == [
        jnp.bfloat16
    ]

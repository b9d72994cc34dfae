"""What float32 cannot hold is infinite in the evaluator as well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from grader import catalogue
from tests.conftest import Grade, failed_checks
from tests.engine.evaluating import program_of

LARGE = np.float32([-200.0, -1.0, 0.0, 88.0, 89.0, 200.0])
MASK = float(np.finfo(np.float32).min)


@pytest.mark.parametrize(
    "function",
    [
        jnp.exp,
        jnp.exp2,
        jnp.expm1,
        jnp.sinh,
        jnp.cosh,
        lambda x: jnp.exp(x) / jnp.exp(x).sum(),
        lambda x: 1 / (1 + jnp.exp(x)),
        lambda x: (1e18 * x) ** 2,
        lambda x: (1e37 * x) * x,
        lambda x: jnp.power(1e10 + jnp.abs(x), 4.0),
        lambda x: jnp.where(x > 0, MASK, x) - 5,
        lambda x: jnp.exp(jnp.where(x > 0, -1e30, x)),
    ],
)
def test_infinities_and_nan_come_up_where_they_do_in_float32(function: Callable[..., Any]) -> None:
    (found,) = program_of(function, LARGE).run([LARGE])
    expected = np.asarray(function(jnp.asarray(LARGE)))
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_array_equal(np.isposinf(found), np.isposinf(expected))
    np.testing.assert_array_equal(np.isneginf(found), np.isneginf(expected))


NAIVE = """
import jax, jax.numpy as jnp
from flax import linen as nn


class Attention(nn.Module):
    heads: int

    @nn.compact
    def __call__(self, x):
        t, d = x.shape
        q, k, v = (nn.DenseGeneral((self.heads, d // self.heads))(x) for _ in range(3))
        scores = jnp.einsum("qhd,khd->hqk", q, k) / jnp.sqrt(d / self.heads)
        weights = jnp.exp(scores) / jnp.exp(scores).sum(-1, keepdims=True)
        return nn.Dense(d)(jnp.einsum("hqk,khd->qhd", weights, v).reshape(t, d))


class Block(nn.Module):
    heads: int
    d_ff: int

    @nn.compact
    def __call__(self, x):
        x = x + Attention(self.heads)(nn.LayerNorm()(x))
        return x + nn.Dense(x.shape[-1])(GELU(nn.Dense(self.d_ff)(nn.LayerNorm()(x))))


GELU = nn.gelu


def encoder_block_forward(seed, x, num_heads, d_ff):
    model = Block(num_heads, d_ff)
    return model.apply(model.init(jax.random.key(seed), x), x)
"""


@pytest.mark.parametrize("seed", [0, 1])
def test_a_softmax_that_overflows_is_not_finite(seed: int, grade_text: Grade) -> None:
    verdict = grade_text(NAIVE, 41, seed=seed, cases=3, shapes=2)
    assert "finite" in failed_checks(verdict)
    (nearest,) = verdict["nearest"]
    assert nearest["what"] == "the first infinity"
    assert "jnp.exp(scores)" in nearest["code"]


def test_an_overflow_that_does_no_harm_passes(grade_text: Grade) -> None:
    safe = NAIVE.replace(
        "jnp.exp(scores) / jnp.exp(scores).sum(-1, keepdims=True)", "nn.softmax(scores)"
    )
    by_hand = "lambda x: x / (1 + jnp.exp(-2 * 0.7978845608028654 * (x + 0.044715 * x**3)))"
    verdict = grade_text(safe.replace("GELU = nn.gelu", f"GELU = {by_hand}"), 41)
    assert failed_checks(verdict) == []


def test_the_solution_stays_finite_with_extreme_weights(grade_text: Grade) -> None:
    verdict = grade_text(catalogue.solution_path(41).read_text(), 41, cases=3, shapes=2)
    assert failed_checks(verdict) == []

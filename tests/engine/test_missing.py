"""What the report says of parameters that are missing is missing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Grade, failed_checks

BLOCK = """
import flax.linen as nn, jax, jax.numpy as jnp


class Block(nn.Module):
    h: int
    f: int

    @nn.compact
    def __call__(self, x):
        d = x.shape[-1]
        y = FIRST
        x = x + nn.MultiHeadDotProductAttention(self.h)(y, y)
        y = SECOND
        return x + nn.Dense(d)(nn.gelu(nn.Dense(self.f, use_bias=MLP)(y)))


def encoder_block_forward(seed, x, num_heads, d_ff):
    block = Block(num_heads, d_ff)
    return block.apply(block.init(jax.random.key(seed), x), x)
"""


def told(grade_text: Grade, first: str, second: str, mlp: bool = True) -> str:
    """What the check of the parameters says of a block with these LayerNorms."""
    source = BLOCK.replace("FIRST", first).replace("SECOND", second).replace("MLP", str(mlp))
    verdict: dict[str, Any] = grade_text(source, 41, explain=False, cases=12, shapes=4)
    assert failed_checks(verdict)[0] == "parameters"
    message = next(c["message"] for c in verdict["checks"] if c["id"] == "parameters")
    return str(message).rpartition("\n")[0]


NORM, BARE = "nn.LayerNorm()(x)", "nn.LayerNorm(use_bias=False)(x)"


@pytest.mark.parametrize(
    ("first", "second", "mlp", "missing"),
    [
        (BARE, NORM, True, "LayerNorm before the attention (bias) (D,)"),
        (NORM, BARE, True, "LayerNorm before the MLP (bias) (D,)"),
        (NORM, NORM, False, "first Dense of the MLP (bias) (d_ff,)"),
    ],
)
def test_the_bias_that_is_missing_is_told(
    first: str, second: str, mlp: bool, missing: str, grade_text: Grade
) -> None:
    message = told(grade_text, first, second, mlp)
    assert message.startswith(f"missing: {missing}")
    assert message.count("bias") == 1


def test_a_pair_of_biases_in_one_array_is_no_sequence(grade_text: Grade) -> None:
    pair = 'self.param("pair", nn.initializers.zeros, (2, d))'
    source = f"(lambda b: nn.LayerNorm(use_bias=False)(x) + b[0] + b[1])({pair})"
    message = told(grade_text, source, NORM)
    assert "LayerNorm before the attention (bias)" in message
    assert "found (2, D)" in message
    assert "T" not in message.replace("MLP", "")

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


def test_a_module_that_serves_at_two_places_is_told(grade_text: Grade) -> None:
    message = told(grade_text, "(norm := nn.LayerNorm())(x)", "norm(x)")
    first, second = message.split("\n", 1)
    assert first == "'LayerNorm_0' is used at 2 places; each should have parameters of its own"
    assert second.startswith("missing: LayerNorm before the ")
    assert "not in the reference" not in message


def test_a_pair_of_biases_in_one_array_is_no_sequence(grade_text: Grade) -> None:
    pair = 'self.param("pair", nn.initializers.zeros, (2, d))'
    source = f"(lambda b: nn.LayerNorm(use_bias=False)(x) + b[0] + b[1])({pair})"
    message = told(grade_text, source, NORM)
    assert "LayerNorm before the attention (bias)" in message
    assert "found (2, D)" in message
    assert "T" not in message.replace("MLP", "")


MODEL = """
import flax.linen as nn, jax, jax.numpy as jnp


class Block(nn.Module):
    h: int
    f: int

    @nn.compact
    def __call__(self, x):
        d = x.shape[-1]
        x = x + nn.MultiHeadDotProductAttention(self.h)(nn.LayerNorm()(x))
        return x + nn.Dense(d)(nn.gelu(nn.Dense(self.f)(nn.LayerNorm()(x))))


class ViT(nn.Module):
    p: int
    d: int
    h: int
    f: int
    depth: int
    classes: int

    @nn.compact
    def __call__(self, image):
        x = nn.Conv(self.d, (self.p, self.p), (self.p, self.p), "VALID")(image)
        x = x.reshape(-1, self.d)
        table = self.param("table", nn.initializers.normal(0.02), (x.shape[0] + MORE, self.d))
        x = BEFORE(x + table[MORE:])
        blocks = [Block(self.h, self.f) for _ in range(COUNT)]
        for i in range(self.depth):
            x = blocks[i % len(blocks)](x)
        return nn.Dense(self.classes)(nn.LayerNorm()(x).mean(0))


def vit_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    model = ViT(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    return model.apply(model.init(jax.random.key(seed), image), image)
"""


@pytest.mark.parametrize(
    ("before", "count", "more", "message"),
    [
        ("", "(self.depth + 1) // 2", 0, "these are the parameters of 1 encoder block; there"),
        ("nn.LayerNorm()", "self.depth", 0, "not in the reference: 'LayerNorm_0/scale' (D,) ="),
        ("", "self.depth", 1, "position table; found (N + 1, D) ="),
    ],
    ids=["blocks are shared", "a LayerNorm in front", "a row too many"],
)
def test_what_is_too_much_or_too_little_of_a_model_is_told(
    before: str, count: str, more: int, message: str, grade_text: Grade
) -> None:
    source = MODEL.replace("BEFORE", before).replace("COUNT", count).replace("MORE", str(more))
    verdict = grade_text(source, 45, explain=False, cases=12, shapes=4)
    told = next(c["message"] for c in verdict["checks"] if c["id"] == "parameters")
    assert message in str(told)


def test_passes_of_a_loop_that_share_their_parameters_are_told(grade_text: Grade) -> None:
    """Each parameter counts as often as there are passes."""
    once = "        for i in range(self.depth):\n            x = blocks[i % len(blocks)](x)\n"
    scanned = """
        def one(block, x, _):
            return block(x), None
        again = nn.scan(one, variable_broadcast="params", split_rngs={"params": False})
        x, _ = again(blocks[0], x, jnp.arange(self.depth))
"""
    assert once in MODEL
    source = MODEL.replace(once, scanned).replace("BEFORE", "").replace("MORE", "0")
    verdict = grade_text(source.replace("COUNT", "1"), 45, explain=False, cases=12, shapes=4)
    told = next(c["message"] for c in verdict["checks"] if c["id"] == "parameters")
    first, second, _ = str(told).split("\n")
    assert first.startswith("'Block_0' is used at ")
    assert second.startswith("these are the parameters of 1 encoder block; there should be ")
    wanted = second.rpartition(" ")[2]
    assert first == f"'Block_0' is used at {wanted} places; each should have parameters of its own"


ATTENTION = """
import flax.linen as nn, jax, jax.numpy as jnp


class Attention(nn.Module):
    h: int

    @nn.compact
    def __call__(self, x):
        t, d = x.shape
        q, k = (nn.Dense(d, name=name)(x).reshape(t, self.h, -1) for name in ("q", "k"))
        scores = jnp.einsum("qhd,khd->hqk", q, k) / jnp.sqrt(d // self.h)
        mixed = jnp.einsum("hqk,khd->qhd", jax.nn.softmax(scores), x.reshape(t, self.h, -1))
        return nn.Dense(d, name="out")(mixed.reshape(t, d))


def self_attention_forward(seed, x, num_heads):
    model = Attention(num_heads)
    return model.apply(model.init(jax.random.key(seed), x), x)
"""


def test_names_tell_which_of_four_equal_projections_is_missing(grade_text: Grade) -> None:
    verdict = grade_text(ATTENTION, 40, explain=False)
    message = next(c["message"] for c in verdict["checks"] if c["id"] == "parameters")
    assert message.startswith("missing: value projection (kernel)")
    assert "output" not in message


def test_a_table_whose_first_row_serves_as_the_cls_token_is_not_missing(grade_text: Grade) -> None:
    source = """
import flax.linen as nn, jax, jax.numpy as jnp

class Table(nn.Module):
    @nn.compact
    def __call__(self, x):
        shape = (len(x) + 1, x.shape[1])
        table = self.param("table", nn.initializers.normal(0.02), shape)
        return jnp.concatenate([table[:1], x]) + table

def cls_and_position_forward(seed, tokens):
    model = Table()
    return model.apply(model.init(jax.random.key(seed), tokens), tokens)
"""
    verdict = grade_text(source, 39)
    (message,) = [c["message"] for c in verdict["checks"] if c["status"] == "failed"]
    assert message.startswith("missing: CLS token (1, D) = (1, ")
    assert "position table" not in message
    assert "found" not in message


def test_a_parameter_that_no_result_depends_on_is_named(grade_text: Grade) -> None:
    source = BLOCK.replace("FIRST", NORM).replace("SECOND", NORM).replace("MLP", "True")
    source = source.replace(f"y = {NORM}\n        return", f"{NORM}\n        y = x\n        return")
    verdict = grade_text(source, 41, explain=False, cases=12, shapes=4)
    (message,) = [c["message"] for c in verdict["checks"] if c["id"] == "numbers"]
    told = message.rpartition("\n")[2]
    assert told == "created but never used: 'LayerNorm_1/bias', 'LayerNorm_1/scale'"

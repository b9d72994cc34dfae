"""The models that train are the references, and so are the steps."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grader import use
from solutions.training import models
from solutions.training.recipe import BadRecipe, Recipe
from tests.training.conftest import TINY

SHAPE = (8, 8, 1)
IMAGES = np.random.default_rng(0).normal(size=(4, *SHAPE)).astype(np.float32)


def recipe(**changes: Any) -> Recipe:
    return dataclasses.replace(TINY, **changes)


def forward(kind: str, module: Any, image: np.ndarray) -> Any:
    sizes = (TINY.patch_size, TINY.width, TINY.heads, TINY.mlp, TINY.depth)
    if kind == "mean_pool":
        return module.vit_forward(3, image, *sizes, 5)
    if kind == "cls":
        return module.vit_cls_forward(3, image, *sizes, 5)
    return module.vit_registers_forward(3, image, *sizes, TINY.registers, 5)[0]


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("mean_pool", marks=pytest.mark.slow),
        pytest.param("cls", marks=pytest.mark.slow),
        "registers",
    ],
)
def test_a_batch_gives_what_the_reference_gives_image_by_image(kind: str) -> None:
    model = models.build(recipe(model=kind), SHAPE, 5)
    module = models.linen_module(recipe(model=kind), 5)
    drawn = jax.jit(module.init)(jax.random.key(3), IMAGES[0])["params"]
    reference = use(models.PROBLEMS[kind])
    expected = jax.jit(lambda image: forward(kind, reference, image))(IMAGES[2])
    assert np.allclose(jax.jit(model.apply)(drawn, IMAGES)[2], expected, atol=1e-5)


def test_the_extra_head_gets_a_classifier() -> None:
    model = models.build(recipe(model="extra_head"), SHAPE, 5)
    params = jax.eval_shape(model.init, jax.random.key(0))
    assert set(params) == {"vit", "head"}
    assert jax.eval_shape(model.apply, params, IMAGES).shape == (4, 5)


def test_the_position_table_starts_as_wide_as_the_recipe_says() -> None:
    wide = models.build(recipe(width=64, patch_size=1, position_std=1.0), SHAPE, 5)
    table = wide.positions(jax.jit(wide.init)(jax.random.key(0)))
    assert table is not None
    assert abs(float(table.std()) - 1) < 0.05


def scaled(params: Any, attention: float, mlp: float) -> Any:
    """Parameters with which the two branches of the last block are so many times as large."""
    block = params["block_1"]
    ends = {
        "attention": {
            **block["attention"],
            "out": jax.tree.map(lambda p: attention * p, block["attention"]["out"]),
        },
        "mlp_out": jax.tree.map(lambda p: mlp * p, block["mlp_out"]),
    }
    return {**params, "block_1": {**block, **ends}}


def test_stochastic_depth_leaves_branches_out_and_keeps_the_mean() -> None:
    rate, count = 0.25, 800
    model = models.build(recipe(depth=2, drop_path=rate, mlp=4), SHAPE, 5)
    params, apply = jax.jit(model.init)(jax.random.key(0)), jax.jit(model.apply)
    same = jnp.broadcast_to(IMAGES[0], (count, *SHAPE))
    found = np.asarray(apply(params, same, jax.random.key(1)))
    kinds = [(one, other) for one in (0, 1) for other in (0, 1)]
    expected = np.stack(
        [apply(scaled(params, *(np.array(kind) / (1 - rate))), same[:1])[0] for kind in kinds]
    )
    distances = np.abs(found[:, None] - expected).max(axis=-1)
    assert distances.min(axis=1).max() < 1e-5
    kept = np.array(kinds)[distances.argmin(axis=1)]
    assert np.abs(kept.mean(axis=0) / (1 - rate) - 1).max() < 0.08  # 4 standard deviations
    assert np.abs(np.corrcoef(kept.T)[0, 1]) < 0.15  # each branch on its own
    assert len(np.unique(np.round(np.asarray(apply(params, same)), 4), axis=0)) == 1


@pytest.mark.parametrize("head_size", [4, 8])
def test_fused_attention_is_problem_40(head_size: int) -> None:
    attention = use(40).SelfAttention(2)
    tokens = jax.random.normal(jax.random.key(0), (5, 2 * head_size))
    params = attention.init(jax.random.key(1), tokens)["params"]
    expected = attention.apply({"params": params}, tokens)
    fused = models.fused_attention(params, tokens, "xla")
    assert np.allclose(fused, expected, atol=1e-5)


def test_attention_of_the_last_block_is_what_the_reference_computes() -> None:
    model = models.build(recipe(depth=2), SHAPE, 5)
    params = jax.jit(model.init)(jax.random.key(0))
    module = models.linen_module(recipe(depth=2), 5)
    _, seen = module.apply({"params": params}, IMAGES[0], capture_intermediates=True)
    expected = []
    for block in ("block_0", "block_1"):
        tokens = seen["intermediates"][block]["norm_1"]["__call__"][0]
        query, key = (
            np.einsum("td,dhk->htk", tokens, params[block]["attention"][name]["kernel"])
            + params[block]["attention"][name]["bias"][:, None]
            for name in ("query", "key")
        )
        scores = np.exp(query @ key.transpose(0, 2, 1) / np.sqrt(query.shape[-1]))
        expected.append(scores / scores.sum(axis=-1, keepdims=True))
    weights = model.attention(params, IMAGES[0])
    assert weights is not None
    assert weights.shape == (2, 5, 5)
    assert np.allclose(weights, expected[1], atol=1e-5)
    assert not np.allclose(weights, expected[0], atol=1e-2)


def test_patches_have_to_fill_the_image() -> None:
    with pytest.raises(BadRecipe, match="patch_size is 3; it must divide the image, 8 × 8"):
        models.build(recipe(patch_size=3), SHAPE, 5)


@pytest.mark.parametrize("kind", ["mean_pool", "cls", "registers", "extra_head"])
def test_no_model_is_trained_with_a_convolution_on_cpus(kind: str) -> None:
    model = models.build(recipe(model=kind), SHAPE, 5)
    params = jax.eval_shape(model.init, jax.random.key(0))
    assert "conv_general_dilated" not in str(jax.make_jaxpr(model.apply)(params, IMAGES))

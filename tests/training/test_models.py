"""The models that train are the references, and so are the steps."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import betainc

from grader import use
from solutions.training import augment, models
from solutions.training.products import with_fast_products
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


def test_narrow_products_stay_close_and_have_gradients() -> None:
    weights = jax.random.normal(jax.random.key(0), (3, 16, 24))
    tokens = jax.random.normal(jax.random.key(1), (4, 5, 16))

    def run(tokens: Any, weights: Any) -> Any:
        hidden = jax.vmap(lambda x: jnp.einsum("td,hde->hte", x, weights))(tokens)
        scores = jnp.einsum("bhqe,bhke->bhqk", hidden, hidden)
        return jnp.tanh(jnp.einsum("bhqk,bhke->bqhe", scores / 500, hidden)).sum()

    plain = jax.jit(jax.value_and_grad(run, argnums=(0, 1)))(tokens, weights)
    fast = with_fast_products(run, narrow=True)
    narrow = jax.jit(jax.value_and_grad(fast, argnums=(0, 1)))(tokens, weights)
    for one, other in zip(jax.tree.leaves(plain), jax.tree.leaves(narrow), strict=True):
        assert one.shape == other.shape
        assert jnp.linalg.norm(one - other) < 0.03 * jnp.linalg.norm(one)
    program = str(jax.make_jaxpr(fast)(tokens, weights))
    assert program.count("bf16") > program.count("preferred_element_type=float32") >= 3


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("passes, stays", [(3, False), (40, True), (0, True)])
@pytest.mark.parametrize("narrow", [False, True])
def test_a_loop_over_layers_is_written_out(
    reverse: bool, passes: int, stays: bool, narrow: bool
) -> None:
    kernels = jax.random.normal(jax.random.key(0), (passes, 6, 6)) / 3
    biases = jax.random.normal(jax.random.key(1), (passes, 6))
    tokens, scale = jax.random.normal(jax.random.key(2), (5, 6)), jnp.arange(6.0)

    def run(tokens: Any, kernels: Any, biases: Any, scale: Any) -> Any:
        def layer(carry: Any, layer: Any) -> Any:
            x, count = carry
            kernel, bias = layer
            x = jnp.tanh(x @ kernel + bias * scale)
            return (x, count + 1), (x[0], count)

        (x, count), (rows, counts) = jax.lax.scan(
            layer, (tokens, 0), (kernels, biases), reverse=reverse
        )
        return (x**2).sum() + (rows * scale).sum(), (count, counts)

    given = (tokens, kernels, biases, scale)
    fast = with_fast_products(run, narrow=narrow)
    assert ("scan" in str(jax.make_jaxpr(fast)(*given))) == stays
    wanted = jax.jit(jax.value_and_grad(run, argnums=range(4), has_aux=True))(*given)
    found = jax.jit(jax.value_and_grad(fast, argnums=range(4), has_aux=True))(*given)
    for one, other in zip(jax.tree.leaves(wanted), jax.tree.leaves(found), strict=True):
        assert one.shape == other.shape and one.dtype == other.dtype
        apart = jnp.linalg.norm(1.0 * (one - other))
        assert apart <= (0.05 if narrow else 1e-5) * jnp.linalg.norm(1.0 * one)


def test_a_loop_without_products_stays_a_loop() -> None:
    def run(x: Any) -> Any:
        return jax.lax.scan(lambda carry, row: (carry + row, carry * row), x[0], x)

    assert "scan" in str(jax.make_jaxpr(with_fast_products(run, narrow=True))(jnp.ones((3, 4))))


@pytest.mark.parametrize("narrow", [False, True])
def test_nothing_is_computed_twice_for_the_gradients(narrow: bool) -> None:
    def run(x: Any, kernel: Any) -> Any:
        return jax.checkpoint(lambda x: jnp.tanh(x @ kernel) @ kernel.T)(x).sum()

    def products(function: Any) -> int:
        gradients = jax.grad(function, argnums=(0, 1))
        return str(jax.make_jaxpr(gradients)(jnp.ones((2, 3)), jnp.ones((3, 4)))).count("dot_gen")

    assert products(with_fast_products(run, narrow=narrow)) == 2 * 3 < products(run)


def test_gradients_of_narrow_products_may_be_transposed() -> None:
    """Which jaxlib 0.12 takes for one product with them, that it then has no kernel for."""
    x = jax.random.normal(jax.random.key(0), (4, 6, 8))
    kernel = jax.random.normal(jax.random.key(1), (5, 8))

    def run(x: Any, kernel: Any) -> Any:
        return jnp.tanh(x @ kernel.T).sum()

    wanted = jax.jit(jax.grad(run, argnums=(0, 1)))(x, kernel)
    fast = with_fast_products(run, narrow=True)
    found = jax.jit(jax.grad(fast, argnums=(0, 1)))(x, kernel)
    for one, other in zip(wanted, found, strict=True):
        assert jnp.linalg.norm(one - other) < 0.03 * jnp.linalg.norm(one)


@pytest.mark.parametrize(
    "formula, left, right",
    [
        ("btd,dhk->bthk", (32, 64, 192), (192, 6, 64)),
        ("bthd,hde->bte", (32, 64, 3, 64), (3, 64, 320)),
        ("btd,ed->bte", (32, 64, 192), (320, 192)),
        ("dbt,edf->btef", (192, 32, 64), (6, 192, 64)),
    ],
)
def test_large_products_are_products_of_matrices(
    formula: str, left: tuple[int, ...], right: tuple[int, ...]
) -> None:
    x, kernel = (np.random.default_rng(0).normal(size=s).astype("f") for s in (left, right))

    def run(x: Any, kernel: Any) -> Any:
        return jnp.tanh(jnp.einsum(formula, x, kernel) / 20).sum()

    fast = with_fast_products(run, narrow=False)
    wanted = jax.jit(jax.value_and_grad(run, argnums=(0, 1)))(x, kernel)
    found = jax.jit(jax.value_and_grad(fast, argnums=(0, 1)))(x, kernel)
    for one, other in zip(jax.tree.leaves(wanted), jax.tree.leaves(found), strict=True):
        assert one.shape == other.shape
        assert jnp.linalg.norm(one - other) < 1e-5 * jnp.linalg.norm(one)

    def axes_of_products(function: Any, x: Any, kernel: Any) -> set[int]:
        program = jax.make_jaxpr(jax.grad(function, argnums=(0, 1)))(x, kernel)
        products = [e for e in program.eqns if e.primitive.name == "dot_general"]
        assert len(products) == 3
        return {variable.aval.ndim for equation in products for variable in equation.invars}

    assert axes_of_products(fast, x, kernel) == {2}
    a_few = [slice(2) if letter == "b" else slice(None) for letter in formula.partition(",")[0]]
    assert max(axes_of_products(fast, x[tuple(a_few)], kernel)) > 2  # small: as they are


LAYOUTS = [("NHWC", "HWIO", "NHWC"), ("NCHW", "OIHW", "NCHW"), ("HNWC", "IHOW", "CHNW")]


@pytest.mark.parametrize("layout", LAYOUTS, ids="".join)
@pytest.mark.parametrize("narrow", [False, True])
def test_a_convolution_that_cuts_patches_becomes_a_product(
    layout: tuple[str, str, str], narrow: bool
) -> None:
    sizes = {"N": 2, "H": 7, "W": 8, "C": 3}  # of 7 rows the last is in no patch
    kernel_sizes = {"H": 3, "W": 2, "I": 3, "O": 5}
    images = jax.random.normal(jax.random.key(0), tuple(sizes[axis] for axis in layout[0]))
    kernel = jax.random.normal(jax.random.key(1), tuple(kernel_sizes[axis] for axis in layout[1]))

    def run(images: Any, kernel: Any) -> Any:
        found = jax.lax.conv_general_dilated(
            images, kernel, (3, 2), "VALID", dimension_numbers=layout
        )
        return (found**2).sum(), found

    fast = with_fast_products(run, narrow=narrow)
    assert "conv_general_dilated" not in str(jax.make_jaxpr(fast)(images, kernel))
    wanted = jax.jit(jax.value_and_grad(run, argnums=(0, 1), has_aux=True))(images, kernel)
    found = jax.jit(jax.value_and_grad(fast, argnums=(0, 1), has_aux=True))(images, kernel)
    for one, other in zip(jax.tree.leaves(wanted), jax.tree.leaves(found), strict=True):
        assert jnp.linalg.norm(one - other) < (0.01 if narrow else 1e-5) * jnp.linalg.norm(one)


@pytest.mark.parametrize(
    "changes",
    [
        {"window_strides": (1, 3)},
        {"padding": "SAME"},
        {"padding": ((0, 0), (3, 0))},
        {"rhs_dilation": (2, 1)},
        {"padding": ((0, 0), (0, 0)), "lhs_dilation": (1, 2)},
        {"feature_group_count": 2},
    ],
    ids=str,
)
def test_other_convolutions_stay_as_they_are(changes: dict[str, Any]) -> None:
    groups = changes.get("feature_group_count", 1)
    images = jax.random.normal(jax.random.key(0), (2, 7, 7, 4))
    kernel = jax.random.normal(jax.random.key(1), (3, 3, 4 // groups, 6))
    options = {"window_strides": (3, 3), "padding": "VALID", **changes}

    def run(images: Any, kernel: Any) -> Any:
        return jax.lax.conv_general_dilated(
            images, kernel, dimension_numbers=("NHWC", "HWIO", "NHWC"), **options
        )

    fast = with_fast_products(run, narrow=True)
    assert "conv_general_dilated" in str(jax.make_jaxpr(fast)(images, kernel))
    assert jnp.array_equal(fast(images, kernel), run(images, kernel))


@pytest.mark.parametrize("kind", ["mean_pool", "cls", "registers", "extra_head"])
def test_no_model_is_trained_with_a_convolution_on_cpus(kind: str) -> None:
    model = models.build(recipe(model=kind), SHAPE, 5)
    params = jax.eval_shape(model.init, jax.random.key(0))
    assert "conv_general_dilated" not in str(jax.make_jaxpr(model.apply)(params, IMAGES))


def test_normalized_images_have_mean_0_and_deviation_1() -> None:
    images = np.random.default_rng(0).integers(0, 256, (50, 4, 4, 2)).astype(np.uint8)
    mean, std = images.mean((0, 1, 2)).tolist(), images.std((0, 1, 2)).tolist()
    found = augment.normalize(images, mean, std)
    assert np.allclose(found.mean((0, 1, 2)), 0, atol=1e-4)
    assert np.allclose(found.std((0, 1, 2)), 1, atol=1e-4)


def test_shift_and_flip_move_images_as_a_whole() -> None:
    image = np.arange(36, dtype=np.uint8).reshape(1, 6, 6, 1)
    many = np.repeat(image, 200, axis=0)
    found = np.asarray(augment.shift_and_flip(many, jax.random.key(0), 1, True))
    padded = np.pad(image[0], ((1, 1), (1, 1), (0, 0)), mode="reflect")
    expected = {
        padded[y : y + 6, x : x + 6][:, ::d].tobytes()
        for y in range(3)
        for x in range(3)
        for d in (1, -1)
    }
    assert {one.tobytes() for one in found} == expected


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.8, 0.0), (0.0, 1.0), (0.8, 1.0)])
def test_mixed_images_hold_the_share_that_is_said(mixup: float, cutmix: float) -> None:
    images = jnp.arange(8.0)[:, None, None, None] * jnp.ones((8, 16, 16, 1))
    mix = jax.jit(augment.mix, static_argnums=(2, 3))
    for seed in range(6):
        found, partner, share = mix(images, jax.random.key(seed), mixup, cutmix)
        expected = share * jnp.arange(8.0) + (1 - share) * partner
        assert np.allclose(found.mean((1, 2, 3)), expected, atol=1e-4)
        assert 0 <= share <= 1


def test_cutmix_pastes_one_rectangle_of_the_partner_into_every_image() -> None:
    images = jnp.arange(8.0)[:, None, None, None] * jnp.ones((8, 12, 16, 1))
    mix = jax.jit(augment.mix, static_argnums=(2, 3))
    areas = []
    for seed in range(40):
        found, partner, share = mix(images, jax.random.key(seed), 0.0, 1.0)
        pasted = np.asarray(found == images[partner])[..., 0]
        assert (np.where(pasted[..., None], images[partner], images) == found).all()
        assert (pasted == pasted[0]).all()
        rows, columns = pasted[0].any(axis=1), pasted[0].any(axis=0)
        assert (np.outer(rows, columns) == pasted[0]).all()
        for side in (rows, columns):
            assert np.abs(np.diff(side.astype(int))).sum() <= 2  # without a gap
        assert pasted[0].mean() == pytest.approx(1 - float(share), abs=1e-6)
        areas.append(pasted[0].mean())
    # Half of the pixels on average, but for what the border cuts off.
    assert 0.2 < np.mean(areas) < 0.5 and np.std(areas) > 0.1


def test_where_both_are_on_either_comes() -> None:
    images = jnp.arange(8.0)[:, None, None, None] * jnp.ones((8, 12, 16, 1))
    mix = jax.jit(augment.mix, static_argnums=(2, 3))
    mixed = [np.asarray(mix(images, jax.random.key(seed), 0.8, 1.0)[0]) for seed in range(20)]
    blended = [bool((np.ptp(one, axis=(1, 2, 3)) < 1e-6).all()) for one in mixed]
    whole = [np.isin(one, np.arange(8.0)).all() for one in mixed]
    assert 4 <= sum(blended) <= 16
    assert all(one or other for one, other in zip(blended, whole, strict=True))


@pytest.mark.parametrize("alpha", [0.2, 0.8, 2.0])
def test_the_shares_of_mixup_are_drawn_from_beta(alpha: float) -> None:
    images = jnp.zeros((2, 1, 1, 1))
    shares = jax.vmap(lambda key: augment.mix(images, key, alpha, 0.0)[2])
    drawn = np.asarray(shares(jax.random.split(jax.random.key(0), 20_000)), np.float64)
    points = np.linspace(0.01, 0.99, 50)
    found = (drawn[:, None] <= points).mean(axis=0)
    assert np.abs(found - betainc(alpha, alpha, points)).max() < 0.015

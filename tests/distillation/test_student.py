"""The student: its size, its layouts of attention, its mask, and a second writing in NumPy."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, softmax

from grader import use
from solutions.distillation.attention import LAYOUTS, Layout, SelfAttention
from solutions.distillation.encoder import EncoderBlock
from solutions.distillation.neighbours import neighbour_mask
from solutions.distillation.student import ViTExtraHead
from tests.random_params import random_params

PUBLISHED = ViTExtraHead(patch_size=28, output_dim=512, num_heads=16, num_layers=6)
IMAGE = jax.ShapeDtypeStruct((224, 224, 3), jnp.float32)


def count_parameters(model: nn.Module, *inputs: jax.ShapeDtypeStruct) -> int:
    variables = jax.eval_shape(model.init, jax.random.key(0), *inputs)
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))


def test_the_published_size() -> None:
    assert PUBLISHED.width == 528
    assert count_parameters(PUBLISHED, IMAGE) == 21_391_361
    assert count_parameters(PUBLISHED.clone(neighbours_only=True), IMAGE) == 21_391_361


def test_without_the_parts_that_are_optional() -> None:
    bare = PUBLISHED.clone(spare_norm=False)
    assert count_parameters(bare, IMAGE) == 21_391_361 - 2 * 512
    assert count_parameters(bare.clone(same_norm=False), IMAGE) == 21_391_361 - 2 * 512 - 1


def test_the_spare_norm_is_never_read() -> None:
    model = ViTExtraHead(4, 6, 2, 1)
    image = np.random.default_rng(0).random((8, 8, 1), np.float32)
    params = random_params(model, image)
    run = jax.jit(lambda params: model.apply({"params": params}, image)[0])
    changed = params | {"spare_norm": jax.tree.map(lambda x: x + 1, params["spare_norm"])}
    np.testing.assert_array_equal(run(params), run(changed))


def norm(x: np.ndarray, p: Any) -> np.ndarray:
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5) * p["scale"] + p["bias"]


def in_numpy(model: ViTExtraHead, p: Any, image: np.ndarray, temperature: float) -> Any:
    """The same model once more, in float64 and with loops where they are clear."""
    size, heads, channels = model.patch_size, model.num_heads, model.width // model.num_heads
    rows, columns = image.shape[0] // size, image.shape[1] // size
    kernel = p["patch_embed"]["kernel"].reshape(-1, model.width)
    patches = [
        image[r * size : (r + 1) * size, c * size : (c + 1) * size].ravel() @ kernel
        for r in range(rows)
        for c in range(columns)
    ]
    x = norm(np.stack(patches) + p["positions"], p["norm_before"])
    for i in range(model.num_layers):
        block = p[f"block_{i}"]
        q, k, v = (
            np.einsum("td,dhc->thc", norm(x, block["norm_1"]), block["attention"][n]["kernel"])
            + block["attention"][n]["bias"]
            for n in ("query", "key", "value")
        )
        mixed = np.zeros_like(q)
        for h in range(heads):
            for t in range(len(x)):
                seen = [
                    s
                    for s in range(len(x))
                    if not model.neighbours_only
                    or max(abs(s // columns - t // columns), abs(s % columns - t % columns)) <= 1
                ]
                weights = softmax(k[seen, h] @ q[t, h] / np.sqrt(channels))
                mixed[t, h] = weights @ v[seen, h]
        out = block["attention"]["out"]
        x = x + np.einsum("thc,hcd->td", mixed, out["kernel"]) + out["bias"]
        y = norm(x, block["norm_2"]) @ block["mlp_in"]["kernel"] + block["mlp_in"]["bias"]
        y = y * expit(1.702 * y)
        x = x + y @ block["mlp_out"]["kernel"] + block["mlp_out"]["bias"]
    by_head = x.reshape(len(x), heads, channels)
    features = by_head[:, :, :-1].reshape(len(x), -1)
    if model.same_norm:
        features *= min(p["scale"], 10.0) / np.linalg.norm(features, axis=1, keepdims=True)
    probs = softmax(by_head[:, :, -1].mean(axis=1) / temperature)
    return probs @ features, probs, features


@pytest.mark.parametrize(("neighbours_only", "scale"), [(False, None), (True, 2.5), (False, 12.0)])
def test_the_student_agrees_with_numpy(neighbours_only: bool, scale: float | None) -> None:
    same_norm = scale is not None
    model = ViTExtraHead(2, 12, 3, 2, same_norm=same_norm, neighbours_only=neighbours_only)
    image = np.random.default_rng(1).random((6, 10, 3), np.float32)
    params = random_params(model, image)
    if same_norm:
        params["scale"] = np.float32(scale)
    run = jax.jit(lambda p, x: (*model.apply({"params": p}, x, 0.5), patches(model, p, x)))
    ours = run(params, image)
    in_64 = jax.tree.map(np.float64, params)
    for mine, theirs in zip(ours, in_numpy(model, in_64, np.float64(image), 0.5), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=2e-5)
    if same_norm:
        lengths = np.linalg.norm(ours[2], axis=1)
        np.testing.assert_allclose(lengths, min(scale or 0, 10.0), rtol=1e-5)


def patches(model: ViTExtraHead, params: Any, image: Any) -> Any:
    return model.apply({"params": params}, image, method=model.patch_embeddings)


def test_every_layout_computes_the_same_and_has_the_same_gradient() -> None:
    generator = np.random.default_rng(2)
    x = generator.standard_normal((15, 66)).astype(np.float32)
    mask = jnp.asarray(neighbour_mask((3, 5)))
    params = random_params(SelfAttention(2), x)
    weights = generator.standard_normal(x.shape).astype(np.float32)

    def outcome(layout: Layout, params: Any, x: Any) -> Any:
        attention = SelfAttention(2, layout)

        def weighed(params: Any, x: Any) -> Any:
            y = attention.apply({"params": params}, x, mask)
            return (y * weights).sum(), y

        masked = jax.grad(weighed, argnums=(0, 1), has_aux=True)(params, x)
        return masked, attention.apply({"params": params}, x)

    found = jax.jit(lambda p, x: {layout: outcome(layout, p, x) for layout in LAYOUTS})(params, x)
    plain = found.pop("plain")
    assert len(found) == 2
    for other in found.values():
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5), other, plain)


def test_by_default_attention_and_block_are_those_of_problems_40_and_41() -> None:
    x = np.random.default_rng(3).standard_normal((7, 12)).astype(np.float32)
    for ours, theirs in (
        (SelfAttention(3), use(40).SelfAttention(3)),
        (EncoderBlock(3, 20), use(41).EncoderBlock(3, 20)),
    ):
        params = random_params(theirs, x)
        both = jax.jit(lambda p, m=ours, n=theirs: (m.apply(p, x), n.apply(p, x)))
        np.testing.assert_allclose(*both({"params": params}), atol=1e-6)


def test_the_mask_sees_nine_six_or_four() -> None:
    mask = neighbour_mask((3, 4))
    assert (mask == mask.T).all()
    want = [4, 6, 6, 4, 6, 9, 9, 6, 4, 6, 6, 4]
    assert mask.sum(axis=1).tolist() == want
    # Row by row: the end of one row is no neighbour of the beginning of the next.
    assert not mask[3, 4]
    assert mask[0].nonzero()[0].tolist() == [0, 1, 4, 5]
    assert neighbour_mask((1, 3)).sum() == 7


def test_sizes_that_do_not_fit_are_named() -> None:
    image = jnp.zeros((8, 10, 3))
    with pytest.raises(ValueError, match="10 features cannot be shared by 4 heads"):
        ViTExtraHead(2, 10, 4, 1).init(jax.random.key(0), image)
    with pytest.raises(ValueError, match="8 × 10 cannot be cut into patches of 4"):
        ViTExtraHead(4, 8, 4, 1).init(jax.random.key(0), image)
    with pytest.raises(ValueError, match="width of 6 cannot be split into 4 heads"):
        SelfAttention(4).init(jax.random.key(0), jnp.zeros((3, 6)))
    with pytest.raises(ValueError, match="0 × 3 has none"):
        neighbour_mask((0, 3))

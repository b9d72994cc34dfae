"""What is captured is what the model computed."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import numpy as np
import pytest

from grader import use
from solutions.distillation.neighbours import neighbour_mask
from solutions.distillation.student import ViTExtraHead
from solutions.registers.capture import Layers, Rows, capture, module_outputs
from tests.random_params import random_params

IMAGES = np.random.default_rng(0).random((3, 8, 12, 3), np.float32)
ROWS = Rows.of(6, num_registers=2)


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return use(47).ViTRegisters(4, 12, 3, 20, 2, 2, 5)


@pytest.fixture(scope="module")
def params(model: nn.Module) -> Any:
    return random_params(model, IMAGES[0])


@pytest.fixture(scope="module")
def layers(model: nn.Module, params: Any) -> Layers:
    return capture(model, params, IMAGES, ROWS, batch_size=2)


def test_shapes_and_rows(layers: Layers) -> None:
    assert layers.tokens.shape == (3, 3, 9, 12)
    assert layers.keys.shape == (2, 3, 9, 3, 4)
    assert layers.attention.shape == (2, 3, 3, 9, 9)
    assert layers.embedded.shape == (3, 6, 12)
    assert layers.patch_tokens.shape == (3, 3, 6, 12)
    assert layers.patch_keys.shape == (2, 3, 6, 12)
    assert (ROWS.cls, ROWS.patches, ROWS.registers) == (0, slice(1, 7), slice(7, 9))
    assert Rows.of(6, cls=False).cls is None and Rows.of(6, cls=False).patches == slice(0, 6)


def test_the_captured_parts_fit_together(layers: Layers, params: Any) -> None:
    """Each value from the one before it, with the weights, outside the model."""
    np.testing.assert_allclose(layers.attention.sum(axis=-1), 1, atol=1e-6)
    before = layers.embedded + params["positions"][1:7]
    np.testing.assert_allclose(layers.patch_tokens[0], before, atol=1e-6)
    registers = np.broadcast_to(params["registers"], (3, 2, 12))
    np.testing.assert_allclose(layers.tokens[0][:, ROWS.registers], registers, atol=1e-6)

    def norm(x: np.ndarray, p: Any) -> np.ndarray:
        scaled = (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(
            x.var(axis=-1, keepdims=True) + 1e-6
        )
        return scaled * p["scale"] + p["bias"]

    for i in range(2):
        block, x = params[f"block_{i}"], layers.tokens[i]
        attention = block["attention"]
        y = norm(x, block["norm_1"])
        keys = np.einsum("btd,dhc->bthc", y, attention["key"]["kernel"])
        np.testing.assert_allclose(layers.keys[i], keys + attention["key"]["bias"], atol=1e-5)
        value = np.einsum("btd,dhc->bthc", y, attention["value"]["kernel"])
        mixed = np.einsum(
            "bhqk,bkhc->bqhc", layers.attention[i], value + attention["value"]["bias"]
        )
        out = np.einsum("bthc,hcd->btd", mixed, attention["out"]["kernel"])
        x = x + out + attention["out"]["bias"]
        y = norm(x, block["norm_2"]) @ block["mlp_in"]["kernel"] + block["mlp_in"]["bias"]
        y = 0.5 * y * (1 + np.tanh(np.sqrt(2 / np.pi) * (y + 0.044715 * y**3)))
        x = x + y @ block["mlp_out"]["kernel"] + block["mlp_out"]["bias"]
        np.testing.assert_allclose(layers.tokens[i + 1], x, atol=1e-4)
    logits, patch_tokens = layers.outputs
    final = norm(layers.patch_tokens[-1], params["final_norm"])
    np.testing.assert_allclose(patch_tokens, final, atol=1e-5)
    assert logits.shape == (3, 5)


def test_the_mask_of_a_model_is_given_along() -> None:
    model = ViTExtraHead(4, 8, 2, 2, neighbours_only=True)
    params = random_params(model, IMAGES[0])
    mask = neighbour_mask((2, 3))
    layers = capture(model, params, IMAGES, Rows.of(6, cls=False), mask=mask)
    assert (layers.attention[..., ~mask] == 0).all()
    np.testing.assert_allclose(layers.attention.sum(axis=-1), 1, atol=1e-6)
    embedding, probs = layers.outputs
    assert embedding.shape == (3, 8) and probs.shape == (3, 6)


def test_one_module_by_its_path(model: nn.Module, params: Any, layers: Layers) -> None:
    last = module_outputs(model, params, IMAGES, "block_1")
    np.testing.assert_allclose(last, layers.tokens[-1], atol=1e-5)
    with pytest.raises(ValueError, match="no module block_7; it has"):
        module_outputs(model, params, IMAGES, "block_7")


def test_what_cannot_be_captured_is_named(model: nn.Module, params: Any) -> None:
    class Flat(nn.Module):
        @nn.compact
        def __call__(self, image: Any) -> Any:
            return nn.Dense(3)(image.ravel())

    flat = Flat()
    with pytest.raises(ValueError, match="no modules block_0"):
        capture(flat, random_params(flat, IMAGES[0]), IMAGES, Rows.of(6))
    with pytest.raises(ValueError, match="do not fit a sequence of 9 tokens"):
        capture(model, params, IMAGES, Rows.of(12))
    with pytest.raises(ValueError, match="no images"):
        capture(model, params, IMAGES[:0], ROWS)

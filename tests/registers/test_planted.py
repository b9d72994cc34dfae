"""A model made to have high-norm tokens is flagged, a clean one is not."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

from grader import use
from solutions.registers.capture import Layers, Rows, capture
from solutions.registers.norms import flagged_layers, high_norm, summarise, token_norms
from solutions.registers.planted import plant
from tests.random_params import random_params

BLOCK = 1


@pytest.fixture(scope="module")
def case() -> tuple[Any, Any, np.ndarray, Rows]:
    registers = 4
    model = use(47).ViTRegisters(4, 20, 2, 32, 3, registers, 5)
    images = np.random.default_rng(1).random((12, 24, 20, 3), np.float32)
    params = random_params(model, images[0])
    return model, params, images, Rows.of(30, num_registers=registers)


def look(case: tuple[Any, Any, np.ndarray, Rows], params: Any) -> Layers:
    model, _, images, rows = case
    return capture(model, params, images, rows)


def test_a_clean_model_is_not_flagged(case: Any) -> None:
    norms = token_norms(look(case, case[1]).patch_tokens)
    assert flagged_layers(norms) == []


def test_a_planted_model_is_flagged_at_the_planted_tokens(case: Any) -> None:
    model, params, images, rows = case
    planted, overwritten = plant(model, params, images, rows, BLOCK, share=0.03, times=10)
    norms = token_norms(look(case, planted).patch_tokens)
    # The tokens before block 0 count as layer 0, so block 1 shows in layer 2 and stays.
    assert flagged_layers(norms) == [2, 3]
    assert 0.01 < overwritten.mean() < 0.07
    for layer in (2, 3):
        np.testing.assert_array_equal(high_norm(norms[layer]), overwritten)
    assert (norms[2][overwritten] > 10 * np.median(norms[2])).all()
    summary = summarise(norms[2])
    assert summary.max_over_median > 10
    assert summary.share_above_mad == pytest.approx(overwritten.mean())


def test_planting_leaves_what_stands_before_it_and_the_parameters_given(case: Any) -> None:
    model, params, images, rows = case
    before = jax.tree.map(np.array, params)
    planted, overwritten = plant(model, params, images, rows, BLOCK)
    clean, changed = look(case, params), look(case, planted)
    np.testing.assert_array_equal(clean.tokens[: BLOCK + 1], changed.tokens[: BLOCK + 1])
    assert jax.tree.all(jax.tree.map(np.array_equal, before, params))
    # The same vector on every overwritten token, nearly: they point the same way.
    marked = changed.patch_tokens[BLOCK + 1][overwritten]
    unit = marked / np.linalg.norm(marked, axis=-1, keepdims=True)
    assert (unit @ unit.T).min() > 0.9

"""The mimetic start: what attention and positions look like, and what stays as it was."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from solutions.training import models
from solutions.training.initial import sinusoidal
from tests.training.conftest import TINY

RECIPE = dataclasses.replace(TINY, patch_size=2, width=64, heads=2, depth=2, position_std=0.5)


def started(model: str, start: str) -> Any:
    asked = dataclasses.replace(RECIPE, model=model, start=start)
    params = models.build(asked, (8, 12, 1), 3).init(jax.random.key(0))
    return params["vit"] if model == "extra_head" else params


def products(params: Any) -> tuple[np.ndarray, np.ndarray]:
    """Query times key, and value times output, of the last block, summed over the heads."""
    attention = params["block_1"]["attention"]
    query, key, value, out = (attention[n]["kernel"] for n in ("query", "key", "value", "out"))
    like = jnp.einsum("dhk,ehk->de", query, key)
    return np.asarray(like), np.asarray(jnp.einsum("dhk,hke->de", value, out))


@pytest.mark.parametrize("model", models.PROBLEMS)
def test_query_times_key_is_near_the_identity_and_value_times_output_near_minus_it(
    model: str,
) -> None:
    for product, sign in zip(products(started(model, "mimetic")), (1, -1), strict=True):
        diagonal = np.diag(product)
        others = product[~np.eye(64, dtype=bool)]
        assert (sign * diagonal > 0).mean() > 0.95
        assert np.abs(diagonal).mean() > 3 * np.abs(others).mean()
    like, _ = products(started(model, "mimetic"))
    assert abs(np.diag(like).mean() - 1) < 0.1
    for product in products(started(model, "problems")):
        assert np.abs(np.diag(product).mean()) < 0.1


def test_neighbours_have_like_positions_and_extra_tokens_keep_theirs() -> None:
    params, before = started("cls", "mimetic"), started("cls", "problems")
    positions = np.asarray(params["positions"])
    assert np.array_equal(positions[0], before["positions"][0]), "that of the CLS token"
    assert np.isclose(np.sqrt((positions[1:] ** 2).mean()), 0.5, rtol=0.02)
    patches = positions[1:].reshape(4, 6, 64)
    like = np.einsum("hwd,d->hw", patches, patches[1, 2])
    assert np.unravel_index(like.argmax(), like.shape) == (1, 2)
    assert (np.diff(like[1, 2:]) < 0).all()
    assert (np.diff(like[1:, 2]) < 0).all()


def test_nothing_else_changes() -> None:
    params, before = started("registers", "mimetic"), started("registers", "problems")
    changed = {
        jax.tree_util.keystr(path, simple=True, separator="/")
        for (path, one), other in zip(
            jax.tree_util.tree_leaves_with_path(params), jax.tree.leaves(before), strict=True
        )
        if not np.array_equal(one, other)
    }
    attention = {f"block_{i}/attention/{name}/kernel" for i in (0, 1) for name in ("key", "out")}
    assert changed == {"positions", *attention}


@pytest.mark.parametrize("width", [4, 6, 8])
def test_any_width_has_sinusoidal_positions(width: int) -> None:
    waves = sinusoidal((2, 3), width)
    assert waves.shape == (6, width)
    assert len(np.unique(np.asarray(waves).round(5), axis=0)) == 6

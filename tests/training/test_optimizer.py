"""Muon: which parameters get it, and what it does to them."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import numpy as np
import pytest
from optax import contrib

from grader import use
from solutions.training import models
from solutions.training.optimizer import optimizer
from tests.training.conftest import TINY

pytestmark = pytest.mark.xdist_group("muon")  # compiled once

MATRICES = ("key", "query", "value", "out", "mlp_in", "mlp_out")


@functools.cache
def second_updates(weight_decay: float, muon_lr: float | None = None) -> tuple[Any, Any, Any]:
    """Parameters of two blocks, gradients by chance, and what the second step of them adds."""
    asked = dataclasses.replace(
        TINY,
        model="registers",
        depth=2,
        mlp=24,
        optimizer="muon",
        muon_lr=muon_lr,
        weight_decay=weight_decay,
    )
    shapes = jax.eval_shape(models.build(asked, (8, 8, 1), 5).init, jax.random.key(0))
    generator = np.random.default_rng(0)
    params, gradients = (
        jax.tree.map(lambda p: generator.normal(size=p.shape).astype(np.float32), shapes)
        for _ in range(2)
    )
    tx = optimizer(asked, use(50), 1, 10)
    update = jax.jit(tx.update)
    _, state = update(gradients, tx.init(params), params)  # the learning rate of step 0 is 0
    return params, gradients, update(gradients, state, params)[0]


def by_path(tree: Any) -> dict[str, np.ndarray]:
    found = jax.tree_util.tree_leaves_with_path(tree)
    return {"/".join(key.key for key in path): np.asarray(leaf) for path, leaf in found}


def is_matrix(path: str) -> bool:
    return path.startswith("block_") and path.split("/")[-2] in MATRICES and "kernel" in path


def as_matrix(path: str, kernel: np.ndarray) -> np.ndarray:
    if path.split("/")[-2] == "out":
        return kernel.reshape(-1, kernel.shape[-1])
    return kernel.reshape(len(kernel), -1)


def test_the_matrices_inside_get_orthogonal_updates_of_adams_size() -> None:
    updates = {p: u for p, u in by_path(second_updates(0.0)[2]).items() if is_matrix(p)}
    assert len(updates) == 2 * len(MATRICES)
    for path, update in updates.items():
        singular = np.linalg.svd(as_matrix(path, update), compute_uv=False)
        assert singular.max() / singular.min() < 2.5, path
        assert 0.1 < np.sqrt((update**2).mean()) / TINY.base_lr < 0.3, path


def test_the_matrices_have_a_learning_rate_of_their_own() -> None:
    alike = by_path(second_updates(0.0)[2])
    for path, update in by_path(second_updates(0.0, 3 * TINY.base_lr)[2]).items():
        expected = (3 if is_matrix(path) else 1) * alike[path]
        assert np.allclose(update, expected, rtol=1e-4, atol=1e-7), path


def test_everything_else_gets_adam() -> None:
    others = {p: u for p, u in by_path(second_updates(0.0)[2]).items() if not is_matrix(p)}
    assert {"positions", "registers", "head/kernel", "block_0/attention/out/bias"} <= set(others)
    for path, update in others.items():  # Adam's, as both gradients were equal
        assert np.allclose(np.abs(update), TINY.base_lr, rtol=1e-2), path


@pytest.mark.parametrize("path", ["block_0/attention/out/kernel", "block_1/mlp_out/kernel"])
def test_a_matrix_gets_what_optax_gives_it_alone(path: str) -> None:
    params, gradients, updates = (by_path(tree) for tree in second_updates(0.0))
    alone = {"it": as_matrix(path, params[path])}
    gradient = {"it": as_matrix(path, gradients[path])}
    scale = np.linalg.norm(np.concatenate([g.ravel() for g in gradients.values()]))
    gradient = {"it": gradient["it"] / scale}  # clipped to norm 1
    rate = use(50).learning_rate_schedule(TINY.base_lr, 1, 10)
    tx = contrib.muon(rate, consistent_rms=0.2)
    _, state = tx.update(gradient, tx.init(alone), alone)
    expected = tx.update(gradient, state, alone)[0]["it"]
    assert np.allclose(as_matrix(path, updates[path]), expected, atol=1e-6)


def test_kernels_decay_and_nothing_else() -> None:
    params, _, decaying = second_updates(0.5)
    plain = by_path(second_updates(0.0)[2])
    for path, value in by_path(params).items():
        expected = -0.5 * TINY.base_lr * value if path.endswith("kernel") else 0 * value
        assert np.allclose(by_path(decaying)[path] - plain[path], expected, atol=1e-6), path

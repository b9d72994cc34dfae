"""The interpreter on whole models: the same numbers, quickly, and without a backend."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.ad_checkpoint
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.training.train_state import TrainState

from grader.engine.evaluate import Program
from tests.engine.evaluating import X, agrees


class Block(nn.Module):
    width: int
    training: bool

    @nn.compact
    def __call__(self, x: Any, _: Any = None) -> Any:
        y = nn.LayerNorm()(x)
        y = nn.MultiHeadDotProductAttention(
            num_heads=2, dropout_rate=0.1, deterministic=not self.training
        )(y, y)
        x = x + nn.Dropout(0.1, deterministic=not self.training)(y)
        y = nn.gelu(nn.Dense(2 * self.width)(nn.LayerNorm()(x)), approximate=False)
        return x + nn.Dense(self.width)(y), None


class VisionTransformer(nn.Module):
    scanned: bool
    training: bool
    width: int = 12
    depth: int = 2

    @nn.compact
    def __call__(self, images: Any) -> Any:
        x = nn.Conv(self.width, (4, 4), (4, 4), padding="VALID")(images)
        x = x.reshape(x.shape[0], -1, self.width)
        token = self.param("token", nn.initializers.zeros, (1, 1, self.width))
        x = jnp.concatenate([jnp.tile(token, (x.shape[0], 1, 1)), x], axis=1)
        x = x + self.param("place", nn.initializers.normal(0.02), (1, x.shape[1], self.width))
        if self.scanned:
            layers = nn.scan(
                nn.remat(Block),
                variable_axes={"params": 0},
                split_rngs={"params": True, "dropout": True},
                length=self.depth,
            )
            x, _ = layers(self.width, self.training)(x, None)
        else:
            for _ in range(self.depth):
                x, _ = Block(self.width, self.training)(x)
        heads = nn.vmap(
            nn.Dense,
            variable_axes={"params": 0},
            split_rngs={"params": True},
            in_axes=None,
            out_axes=1,
            axis_size=2,
        )
        return heads(10)(nn.LayerNorm()(x)[:, 0]).mean(axis=1)


IMAGES = np.random.default_rng(0).random((2, 16, 16, 3), np.float32)
LABELS = np.array([3, 7])


def parameters(model: nn.Module) -> Any:
    """Initial parameters, without waiting for a compilation."""
    closed, shapes = jax.make_jaxpr(model.init, return_shape=True)(jax.random.key(0), IMAGES)
    leaves = Program(closed).run([jax.random.key(0), IMAGES])
    return jax.tree.unflatten(jax.tree.structure(shapes), [x.astype(np.float32) for x in leaves])


def loss_of(model: nn.Module) -> Callable[..., Any]:
    def loss(params: Any, images: Any, key: Any) -> Any:
        logits = model.apply(params, images, rngs={"dropout": key})
        return optax.softmax_cross_entropy_with_integer_labels(logits, LABELS).mean()

    return loss


def test_initial_parameters_of_a_vision_transformer() -> None:
    model = VisionTransformer(scanned=True, training=False)
    agrees(model.init, jax.random.key(0), IMAGES)


@pytest.mark.parametrize("scanned", [False, True])
def test_vision_transformer(scanned: bool) -> None:
    model = VisionTransformer(scanned=scanned, training=False)
    agrees(model.apply, parameters(model), IMAGES)


@pytest.mark.parametrize("scanned", [False, True])
def test_training_step_of_a_vision_transformer(scanned: bool) -> None:
    model = VisionTransformer(scanned=scanned, training=True)
    loss = loss_of(model)
    params = parameters(VisionTransformer(scanned=scanned, training=False))
    agrees(jax.value_and_grad(loss), params, IMAGES, jax.random.key(5), tolerance=1e-4)


def test_optimiser_step() -> None:
    schedule = optax.warmup_cosine_decay_schedule(0.0, 1e-2, 2, 10)
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule))
    params = {"w": X, "b": X[0]}
    state = TrainState.create(apply_fn=lambda: None, params=params, tx=optimiser)

    def step(state: Any, targets: Any) -> Any:
        def loss(params: Any) -> Any:
            logits = targets @ params["w"].T + params["b"][:3]
            return optax.softmax_cross_entropy(logits, jax.nn.softmax(targets[:, :3])).mean()

        for _ in range(3):
            state = state.apply_gradients(grads=jax.grad(loss)(state.params))
        return state, optax.tree.norm(state.params)

    agrees(step, state, X)


def test_a_small_model_is_prepared_and_run_in_milliseconds() -> None:
    model = VisionTransformer(scanned=False, training=False)
    params = parameters(model)
    inputs = jax.tree.leaves((params, IMAGES))
    closed = jax.make_jaxpr(model.apply)(params, IMAGES)
    program = Program(closed)
    assert fastest(lambda: Program(closed)) < 5e-3
    assert fastest(lambda: program.run(inputs)) < 3e-3


def fastest(action: Callable[[], Any]) -> float:
    times = []
    for _ in range(10):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


BACKEND_FREE = """
import jax, jax.numpy as jnp, numpy as np
from jax._src import xla_bridge
from grader.engine.evaluate import Program

def step(seed, x):
    k = jax.random.key(seed)
    y = jax.nn.gelu(x @ jax.random.normal(k, (4, 4)), approximate=False)
    return jax.lax.scan(lambda c, r: (c + r, c), y[0], y), jnp.sort(x), x.at[0].set(1)

closed = jax.make_jaxpr(step)(np.int32(0), np.ones((3, 4), np.float32))
program = Program(closed)
program.run([np.int32(0), np.ones((3, 4), np.float32)])
assert not program.fallbacks
assert not xla_bridge.backends_are_initialized()
"""


def test_no_backend_is_started() -> None:
    subprocess.run([sys.executable, "-c", BACKEND_FREE], check=True)

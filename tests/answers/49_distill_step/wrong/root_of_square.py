"""The absolute value as the root of the square: right, but without a slope where the two agree."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax.training.train_state import TrainState
from jaxtyping import Array, Float


def normalized_l1(
    student: Float[Array, "B D"], teacher: Float[Array, "B D"], norm: float = 100.0
) -> Float[Array, ""]:
    """Mean absolute difference after every row has been scaled to length ``norm``."""
    def scaled(x):
        return norm * x / jnp.linalg.norm(x, axis=-1, keepdims=True)

    return jnp.sqrt((scaled(student) - scaled(teacher)) ** 2).mean()


def distill_step(
    state: TrainState,
    teacher_apply: Callable[..., Float[Array, "B D"]],
    teacher_params: Any,
    images: Float[Array, "B H W C"],
    norm: float = 100.0,
) -> tuple[TrainState, Float[Array, ""]]:
    """Move the student one optimiser step towards the teacher's embeddings of ``images``.

    ``state.apply_fn`` and ``teacher_apply`` map ``({"params": params}, images)`` to (B, D).

    Returns the new state and the loss before the step.
    """
    target = jax.lax.stop_gradient(teacher_apply({"params": teacher_params}, images))

    def loss_of(params):
        return normalized_l1(state.apply_fn({"params": params}, images), target, norm)

    loss, grads = jax.value_and_grad(loss_of)(state.params)
    return state.apply_gradients(grads=grads), loss

"""One step of distillation as the loop of the training run wants it, around problem 49's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax.training.train_state import TrainState
from jaxtyping import Array, Float

from grader import use
from solutions.distillation.attention import layout_for
from solutions.distillation.objectives import Objective, cosine
from solutions.distillation.settings import Distillation
from solutions.distillation.student import ViTExtraHead
from solutions.distillation.teacher import Teacher
from solutions.training import augment
from solutions.training.models import activation_dtype, compute_dtype, suited_to_cpus
from solutions.training.optimizer import optimizer
from solutions.training.recipe import Recipe
from solutions.training.step import Metrics, State, Statistics, Task

Apply = Callable[[Mapping[str, Any], Array], Float[Array, "B D"]]


def student_of(asked: Distillation) -> ViTExtraHead:
    """The student; ``asked`` has its width already (`Distillation.sized`)."""
    recipe = asked.recipe
    return ViTExtraHead(
        recipe.patch_size,
        recipe.width - recipe.heads,
        recipe.heads,
        recipe.depth,
        same_norm=asked.same_norm,
        neighbours_only=asked.neighbours_only,
        spare_norm=False,
        position_std=recipe.position_std,
        layout=layout_for(compute_dtype(recipe), recipe.width // recipe.heads),
    )


def student_apply(student: ViTExtraHead, recipe: Recipe, statistics: Statistics) -> Apply:
    """Problem 49's ``apply_fn``: images (B, H, W, C) from 0 to 1 to embeddings (B, D) float32.

    Args:
      student: the model.
      recipe: the type it computes in.
      statistics: mean and standard deviation of each channel, on 0 to 255.

    """
    mean, std = (jnp.asarray(values) for values in statistics)
    dtype = activation_dtype(recipe)

    def batch(params: Any, images: Array) -> Array:
        params = jax.tree.map(lambda p: p.astype(dtype), params)
        return jax.vmap(lambda image: student.apply({"params": params}, image)[0])(images)

    run = suited_to_cpus(batch, recipe)

    def apply(variables: Mapping[str, Any], images: Array) -> Array:
        prepared = ((255 * images - mean) / std).astype(dtype)
        return run(variables["params"], prepared).astype(jnp.float32)

    return apply


def distillation_task(
    asked: Distillation,
    student: ViTExtraHead,
    teacher: Teacher,
    goal: Objective,
    image_shape: tuple[int, int, int],
    statistics: Statistics,
    total_steps: int,
) -> Task:
    """Train ``student`` to give ``teacher``'s embeddings.

    The loss of problem 49 is taken by problem 49's own step. The others take the same step with
    another loss. In both the teacher is a constant, and computes in float32.

    Args:
      asked: loss, optimiser, schedule and shift.
      student: what learns.
      teacher: what it learns from.
      goal: the loss.
      image_shape: (H, W, C) of the data.
      statistics: of the data, as `Dataset.statistics`.
      total_steps: of the whole run.

    Raises:
      BadRecipe: there are not even two steps.

    """
    recipe, step49, step50 = asked.recipe, use(49), use(50)
    warmup_steps = recipe.warmup_steps(total_steps)
    tx = optimizer(recipe, step50, warmup_steps, total_steps)
    apply = student_apply(student, recipe, statistics)

    def init(key: Array) -> State:
        params = student.init(key, jnp.zeros(image_shape))["params"]
        return {"params": params, "opt_state": tx.init(params), "step": jnp.zeros((), jnp.int32)}

    def step(state: State, batch: Mapping[str, Array], key: Array) -> tuple[State, Metrics]:
        images = augment.shift_and_flip(batch["image"], key, recipe.shift, recipe.flip) / 255
        before = TrainState(
            step=state["step"],
            apply_fn=apply,
            params=state["params"],
            tx=tx,
            opt_state=state["opt_state"],
        )
        if asked.loss == "l1":
            after, loss = step49.distill_step(
                before, teacher.apply, teacher.params, images, asked.norm
            )
        else:
            after, loss = _step(before, teacher, images, batch["label"], goal)
        new = {"params": after.params, "opt_state": after.opt_state, "step": after.step}
        return new, {"loss": loss}

    def evaluate(state: State, batch: Mapping[str, Array]) -> dict[str, Float[Array, " B"]]:
        images = batch["image"] / 255
        ours = apply({"params": state["params"]}, images)
        theirs = teacher.apply({"params": teacher.params}, images)
        return {
            "loss": goal.of_each(ours, theirs, batch["label"]),
            "cosine": cosine(ours, theirs),
        }

    schedule = step50.learning_rate_schedule(recipe.base_lr, warmup_steps, total_steps)
    return Task(init, step, evaluate, schedule)


def _step(
    state: TrainState, teacher: Teacher, images: Array, labels: Array, goal: Objective
) -> tuple[TrainState, Float[Array, ""]]:
    """Problem 49's step with another loss."""
    theirs = jax.lax.stop_gradient(teacher.apply({"params": teacher.params}, images))

    def loss_of(params: Any) -> Array:
        return goal.of_batch(state.apply_fn({"params": params}, images), theirs, labels)

    loss, gradients = jax.value_and_grad(loss_of)(state.params)
    return state.apply_gradients(grads=gradients), loss

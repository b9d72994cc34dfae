"""A trained run of ours as a teacher: its embedding is what its head reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from solutions.distillation.teacher import Preparation, Teacher
from solutions.registers.capture import Rows
from solutions.training.checkpoints import Checkpoints, NoCheckpoint
from solutions.training.evaluation import of_run
from solutions.training.models import grid_of, linen_module
from solutions.training.recipe import BadRecipe, Recipe
from solutions.training.runs import Run
from solutions.training.step import best_params

_COSINE_SCALE = 100.0
"""CLIP's logits are cosines times its learned scale, which ends at 100."""


def run_teacher(run: Run, step: int | None = None) -> tuple[int, Teacher]:
    """A checkpoint of a run as a teacher, and the step that it was made at.

    Args:
      run: of the references, any of problems 45 to 48.
      step: of the checkpoint; the newest unless given.

    Raises:
      BadRecipe: the run trained a student's own answer, which cannot be looked into.
      NoCheckpoint: it has none, or not that one.

    """
    if run.mine:
        raise BadRecipe(
            f"{run.folder} trained answers of your own (--mine), whose inner values have no known "
            "names; a teacher has to be a run without --mine"
        )
    if step is None:
        step, found = of_run(run)
        params = found.params
    else:
        params = _params_at(run, step)
    size, statistics = run.image_shape, (run.mean, run.std)
    return step, as_teacher(run.recipe, size, len(run.classes), params, statistics)


def _params_at(run: Run, step: int) -> Any:
    checkpoints = Checkpoints(run.folder / "checkpoints", read_only=True)
    try:
        if step not in checkpoints.steps():
            raise NoCheckpoint(
                f"{run.folder} has no checkpoint of step {step} any more, which this distillation "
                "learns from; begin a new one"
            )
        return best_params(checkpoints.state(step))
    finally:
        checkpoints.close()


def embedding_width(recipe: Recipe) -> int:
    """How long the embedding of `as_teacher` is, before anything is trained."""
    return recipe.width - (recipe.heads if recipe.model == "extra_head" else 0)


def as_teacher(
    recipe: Recipe,
    image_shape: tuple[int, int, int],
    num_classes: int,
    params: Any,
    statistics: tuple[Sequence[float], Sequence[float]],
) -> Teacher:
    """A model of the training run as a teacher.

    Args:
      recipe: what was trained: problem 45, 46, 47 or 48.
      image_shape: (H, W, C) of its images.
      num_classes: K.
      params: its parameters.
      statistics: mean and standard deviation of each channel, on 0 to 255.

    Returns:
      The teacher. Its embedding (D,) is what goes into the last Dense layer: the normalised CLS
      token (46, 47), the mean of the normalised tokens (45), the pooled features (48); its
      classes are what that layer makes of it.

    """
    module, head = linen_module(recipe, num_classes), nn.Dense(num_classes)
    grid = grid_of(recipe, image_shape)
    if recipe.model == "extra_head":
        params = {**params["vit"], "head": params["head"]}

    def embed(params: Any, image: Float[Array, "H W C"]) -> Float[Array, " D"]:
        if recipe.model == "extra_head":
            return module.apply({"params": params}, image)[0]
        return _into_head(module, params, image)

    mean, std = (tuple(value / 255 for value in values) for values in statistics)
    channels, in_form = image_shape[-1], Preparation(image_shape[:2], mean, std)

    def prepare(images: Float[Array, "B H W C"]) -> Float[Array, "B h w c"]:
        if images.shape[-1] not in (1, channels):
            raise BadRecipe(
                f"the images have {images.shape[-1]} channels, those of the teacher {channels}"
            )
        return in_form(images)

    return Teacher(
        embed=embed,
        params=jax.tree.map(jnp.asarray, params),
        prepare=prepare,
        grid=grid,
        module=module,
        rows=Rows.of(
            grid[0] * grid[1],
            cls=recipe.model in ("cls", "registers"),
            num_registers=recipe.registers if recipe.model == "registers" else 0,
        ),
        classify=lambda params, embedding: head.apply({"params": params["head"]}, embedding),
    )


def with_prototypes(
    teacher: Teacher, prototypes: Float[np.ndarray, "K D"], scale: float = _COSINE_SCALE
) -> Teacher:
    """A teacher that knows classes: where it has none, by the cosine with their prototypes.

    Args:
      teacher: any; one that knows classes stays as it is.
      prototypes: an embedding of each class, rows of length 1.
      scale: the factor that makes logits of cosines.

    """
    if teacher.classify is not None:
        return teacher
    queries = jnp.asarray(prototypes)

    def classify(_: Any, embedding: Float[Array, " D"]) -> Float[Array, " K"]:
        return scale * queries @ (embedding / jnp.linalg.norm(embedding))

    return dataclasses.replace(teacher, classify=classify)


def _into_head(module: nn.Module, params: Any, image: Array) -> Float[Array, " D"]:
    """What ``head`` gets."""
    seen: list[Array] = []

    def note(call: Any, args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
        if context.module.path == ("head",) and context.method_name == "__call__":
            seen.append(args[0])
        return call(*args, **kwargs)

    with nn.intercept_methods(note):
        module.apply({"params": params}, image)
    return seen[0]

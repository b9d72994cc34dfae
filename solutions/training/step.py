"""One step of training: augment, the step of problem 50, the average of the weights.

`classification` puts a recipe, a model and a dataset together into a `Task`, which is what the loop
needs: start, step and test, and the learning rate for the display.  The optimiser and the step are
those of problem 50, the references or a student's own; around them go what problem 50 leaves out:
augmentation, mixed labels (Mixup, CutMix), and a moving average of the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax.training.train_state import TrainState
from jaxtyping import Array, Float

from grader import use
from solutions.training import augment
from solutions.training.models import Model
from solutions.training.optimizer import optimizer
from solutions.training.recipe import Recipe
from solutions.training.trivial import trivial_augment

State = Any
Batch = Mapping[str, Array]
Statistics = tuple[Sequence[float], Sequence[float]]
Metrics = dict[str, Float[Array, ""]]


@dataclass(frozen=True)
class Task:
    """What the loop repeats.  The loop jits ``init``, ``step`` and ``evaluate``.

    Attributes:
      init: ``init(key)`` → the state, any pytree of arrays.
      step: ``step(state, batch, key)`` → the new state and metrics, scalars among which is
        ``loss``.  ``batch`` has ``image`` (B, H, W, C) uint8 and ``label`` (B,) int32; the key
        belongs to this step alone.
      evaluate: ``evaluate(state, batch)`` → for each image a number, (B,), by name.
      learning_rate: from a step to the learning rate, for the display.

    """

    init: Callable[[Array], State]
    step: Callable[[State, Batch, Array], tuple[State, Metrics]]
    evaluate: Callable[[State, Batch], dict[str, Float[Array, " B"]]]
    learning_rate: Callable[[int], Any]


def classification(
    recipe: Recipe,
    model: Model,
    statistics: Statistics,
    total_steps: int,
    step50: ModuleType | None = None,
) -> Task:
    """Train ``model`` to tell classes apart.

    Args:
      recipe: optimiser, schedule and augmentation.
      model: what to train.
      statistics: mean and standard deviation of each channel, as `Dataset.statistics`.
      total_steps: of the whole run.
      step50: a module with the functions of problem 50; the reference's unless given.

    Raises:
      BadRecipe: there are not even two steps.

    """
    step50 = step50 or use(50)
    mean, std = statistics
    warmup_steps = recipe.warmup_steps(total_steps)
    tx = optimizer(recipe, step50, warmup_steps, total_steps, model.layout)

    def init(key: Array) -> State:
        params = model.init(key)
        state = {"params": params, "opt_state": tx.init(params), "step": jnp.zeros((), jnp.int32)}
        if recipe.ema:
            state["ema"] = jax.tree.map(jnp.copy, params)
        return state

    def step(state: State, batch: Batch, key: Array) -> tuple[State, Metrics]:
        augment_key, mix_key, model_key, trivial_key = jax.random.split(key, 4)
        images = augment.shift_and_flip(batch["image"], augment_key, recipe.shift, recipe.flip)
        if recipe.trivial_augment:
            images = trivial_augment(images, trivial_key)
        images = augment.normalize(images, mean, std)

        def apply_fn(variables: Any, images: Array) -> Array:
            return model.apply(variables["params"], images, model_key)

        before = TrainState(
            step=state["step"],
            apply_fn=apply_fn,
            params=state["params"],
            tx=tx,
            opt_state=state["opt_state"],
        )
        if recipe.mixup or recipe.cutmix:
            mixed = augment.mix(images, mix_key, recipe.mixup, recipe.cutmix)
            if recipe.mixup_off:
                is_over = state["step"] >= (1 - recipe.mixup_off) * total_steps
                mixed = _unmixed_if(is_over, images, mixed)
            after, metrics = _mixed_step(before, mixed, batch["label"], recipe.label_smoothing)
        else:
            clean = {"image": images, "label": batch["label"]}
            after, metrics = step50.train_step(before, clean, recipe.label_smoothing)
        new = {"params": after.params, "opt_state": after.opt_state, "step": after.step}
        if recipe.ema:
            new["ema"] = _averaged(state["ema"], after.params, recipe.ema, state["step"])
        return new, dict(metrics)

    def evaluate(state: State, batch: Batch) -> dict[str, Array]:
        logits = model.apply(best_params(state), augment.normalize(batch["image"], mean, std))
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"])
        return {"loss": losses, "accuracy": logits.argmax(axis=-1) == batch["label"]}

    return Task(
        init,
        step,
        evaluate,
        step50.learning_rate_schedule(recipe.base_lr, warmup_steps, total_steps),
    )


def best_params(state: State) -> Any:
    """The parameters to use: their moving average where there is one."""
    return state.get("ema", state["params"])


Mixed = tuple[Array, Array, Array]
"""Images, for each the row of its partner, and the share that is its own."""


def _unmixed_if(condition: Array, images: Array, mixed: Mixed) -> Mixed:
    blended, partner, share = mixed
    return jnp.where(condition, images, blended), partner, jnp.where(condition, 1, share)


def _mixed_step(
    state: TrainState, mixed: Mixed, labels: Array, label_smoothing: float
) -> tuple[TrainState, Metrics]:
    """The step of problem 50 for images that belong to two classes.

    ``accuracy`` asks for the class with the larger share.
    """
    images, partner, share = mixed

    def loss_of(params: Any) -> tuple[Array, Array]:
        logits = state.apply_fn({"params": params}, images)

        own, others = (jax.nn.one_hot(of, logits.shape[-1]) for of in (labels, labels[partner]))
        targets = optax.smooth_labels(share * own + (1 - share) * others, label_smoothing)
        return optax.softmax_cross_entropy(logits, targets).mean(), logits

    (loss, logits), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    larger = jnp.where(share >= 0.5, labels, labels[partner])
    accuracy = jnp.mean(logits.argmax(axis=-1) == larger)
    return state.apply_gradients(grads=gradients), {"loss": loss, "accuracy": accuracy}


def _averaged(average: Any, params: Any, decay: float, step: Array) -> Any:
    """A moving average that forgets its start: the decay grows to its value in the first steps."""
    decay = jnp.minimum(decay, (1 + step) / (10 + step))
    return optax.incremental_update(params, average, 1 - decay)

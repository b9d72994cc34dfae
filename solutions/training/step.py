"""One step of training: augment, the step of problem 50, the average of the weights.

`classification` puts a recipe, a model and a dataset together into a `Task`, the three functions
that the loop needs.  The optimiser and the step are those of problem 50, the references or a
student's own; around them go what problem 50 leaves out: augmentation, mixed labels (Mixup,
CutMix), Muon, and a moving average of the weights.
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
from solutions.training.recipe import Recipe

State = Any
Batch = Mapping[str, Array]
Statistics = tuple[Sequence[float], Sequence[float]]
Metrics = dict[str, Float[Array, ""]]

_RMS_OF_ADAM = 0.2
"""What Liu et al. 2025, arXiv 2502.16982, measured AdamW's updates to be, divided by the learning
rate, and scale those of Muon to, so that one learning rate suits both."""


@dataclass(frozen=True)
class Task:
    """What the loop repeats.  All three functions are jitted by the loop.

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

    """
    step50 = step50 or use(50)
    mean, std = statistics
    warmup_steps = min(max(1, round(total_steps * recipe.warmup)), total_steps - 1)
    tx = optimizer(recipe, step50, warmup_steps, total_steps)

    def init(key: Array) -> State:
        params = model.init(key)
        state = {"params": params, "opt_state": tx.init(params), "step": jnp.zeros((), jnp.int32)}
        if recipe.ema:
            state["ema"] = jax.tree.map(jnp.copy, params)
        return state

    def step(state: State, batch: Batch, key: Array) -> tuple[State, Metrics]:
        augment_key, mix_key, model_key = jax.random.split(key, 3)
        images = augment.shift_and_flip(batch["image"], augment_key, recipe.shift, recipe.flip)
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


def optimizer(
    recipe: Recipe, step50: ModuleType, warmup_steps: int, total_steps: int
) -> optax.GradientTransformation:
    """AdamW of problem 50, or Muon for the matrices and AdamW for all else.

    Either way weight decay is for what problem 50's mask says.  (``optax.contrib.muon`` by itself
    decays everything that it leaves to AdamW, biases and positions included, and gives its AdamW
    Nesterov momentum.)
    """
    if recipe.optimizer == "adamw":
        return step50.make_optimizer(
            recipe.base_lr, warmup_steps, total_steps, recipe.weight_decay, recipe.max_norm
        )
    from optax import contrib

    def schedule(peak: float) -> optax.Schedule:
        return step50.learning_rate_schedule(peak, warmup_steps, total_steps)

    def groups(params: Any) -> Any:
        matrices = jax.tree.map(
            lambda numbers, _: numbers is not None,
            muon_matrices(params),
            params,
            is_leaf=lambda x: x is None or isinstance(x, contrib.MuonDimensionNumbers),
        )
        return jax.tree.map(
            lambda matrix, decays: "matrix" if matrix else "decays" if decays else "rest",
            matrices,
            step50.weight_decay_mask(params),
        )

    muon = contrib.muon(
        schedule(recipe.base_lr if recipe.muon_lr is None else recipe.muon_lr),
        weight_decay=recipe.weight_decay,
        muon_weight_dimension_numbers=muon_matrices,
        consistent_rms=_RMS_OF_ADAM,
    )
    of_group = {
        "matrix": muon,
        "decays": optax.adamw(schedule(recipe.base_lr), weight_decay=recipe.weight_decay),
        "rest": optax.adam(schedule(recipe.base_lr)),
    }
    clip = optax.clip_by_global_norm(recipe.max_norm)
    return optax.chain(clip, optax.partition(of_group, groups))


def muon_matrices(params: Any) -> Any:
    """Which parameters are matrices, and which of their axes go in and which out.

    Muon makes the update of a matrix orthogonal (Jordan et al. 2024, "Muon"; optax.contrib.muon).
    That has a meaning for linear maps inside of the network: kernels of attention and MLP.  The
    patch embedding and the head stand at its ends, where Adam is the custom; position tables and
    tokens have two axes and are no maps at all.  Query, key and value are (in, head, dim), the
    output projection is (head, dim, out): without dimension numbers both would be left to Adam.
    """
    from optax import contrib

    def dimensions(path: Any, value: Array) -> Any:
        names = [str(getattr(key, "key", key)) for key in path]
        inside = any(name.startswith("block_") for name in names)
        if names[-1] != "kernel" or not inside:
            return None
        if value.ndim == 2:
            return contrib.MuonDimensionNumbers(0, 1)
        if names[-2] == "out":
            return contrib.MuonDimensionNumbers((0, 1), 2)
        return contrib.MuonDimensionNumbers(0, tuple(range(1, value.ndim)))

    return jax.tree_util.tree_map_with_path(dimensions, params)


def _mixed_step(
    state: TrainState, mixed: tuple[Array, Array, Array], labels: Array, label_smoothing: float
) -> tuple[TrainState, Metrics]:
    """The step of problem 50 for images that belong to two classes.

    ``accuracy`` asks for the class with the larger share.
    """
    images, partner, share = mixed

    def loss_of(params: Any) -> tuple[Array, Array]:
        logits = state.apply_fn({"params": params}, images)

        def loss(of: Array) -> Array:
            one_hot = jax.nn.one_hot(of, logits.shape[-1])
            targets = optax.smooth_labels(one_hot, label_smoothing)
            return optax.softmax_cross_entropy(logits, targets).mean()

        return share * loss(labels) + (1 - share) * loss(labels[partner]), logits

    (loss, logits), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    larger = jnp.where(share >= 0.5, labels, labels[partner])
    accuracy = jnp.mean(logits.argmax(axis=-1) == larger)
    return state.apply_gradients(grads=gradients), {"loss": loss, "accuracy": accuracy}


def _averaged(average: Any, params: Any, decay: float, step: Array) -> Any:
    """A moving average that forgets its start: the decay grows to its value in the first steps."""
    decay = jnp.minimum(decay, (1 + step) / (10 + step))
    return jax.tree.map(lambda a, p: decay * a + (1 - decay) * p, average, params)

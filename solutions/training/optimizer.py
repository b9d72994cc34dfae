"""AdamW of problem 50, or Muon for the matrices of the blocks and AdamW for all else.

Either way weight decay is for what problem 50's mask says.  (``optax.contrib.muon`` by itself has
one decay for all that it leaves to AdamW, biases and positions included, and gives its AdamW
Nesterov momentum.)

Muon makes the update of every matrix orthogonal, by fifteen small products one after the other.
A block of problem 41 has six matrices, and most of them are of one size: here those of one size
lie on top of each other, so that the products of all are made at once.  The numbers are the same.
"""

from __future__ import annotations

import math
from collections import defaultdict
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from solutions.training.models import Layout
from solutions.training.recipe import Recipe

_RMS_OF_ADAM = 0.2
"""What Liu et al. 2025, arXiv 2502.16982, measured AdamW's updates to be, divided by the learning
rate, and scale those of Muon to, so that one learning rate suits both."""


def optimizer(
    recipe: Recipe,
    step50: ModuleType,
    warmup_steps: int,
    total_steps: int,
    layout: Layout | None = None,
) -> optax.GradientTransformation:
    """The recipe's optimiser, with the schedule and the mask of problem 50.

    Args:
      recipe: which one, its learning rates, weight decay and the norm that gradients are cut to.
      step50: the solution of problem 50, or a student's answer to it.
      warmup_steps: steps in which the learning rates grow from 0.
      total_steps: steps after which they are 0 again, the first ones among them.
      layout: between the model's parameters and the reference's, whose matrices Muon has to know;
        None where they are the same.

    """
    if recipe.optimizer == "adamw":
        return step50.make_optimizer(
            recipe.base_lr, warmup_steps, total_steps, recipe.weight_decay, recipe.max_norm
        )

    def schedule(peak: float) -> optax.Schedule:
        return step50.learning_rate_schedule(peak, warmup_steps, total_steps)

    def groups(params: Any) -> Any:
        return jax.tree.map(
            lambda matrix, decays: "matrix" if matrix else "decays" if decays else "rest",
            jax.tree_util.tree_map_with_path(_is_matrix, params),
            step50.weight_decay_mask(params),
        )

    muon_lr = recipe.base_lr if recipe.muon_lr is None else recipe.muon_lr
    of_group = {
        "matrix": muon(schedule(muon_lr), recipe.weight_decay),
        "decays": optax.adamw(schedule(recipe.base_lr), weight_decay=recipe.weight_decay),
        "rest": optax.adam(schedule(recipe.base_lr)),
    }
    clip = optax.clip_by_global_norm(recipe.max_norm)
    tx = optax.chain(clip, optax.partition(of_group, groups))
    return tx if layout is None else _in_layout(tx, layout)


def _in_layout(tx: optax.GradientTransformation, layout: Layout) -> optax.GradientTransformation:
    def init(params: Any) -> Any:
        return tx.init(layout.to_reference(params))

    def update(updates: Any, state: Any, params: Any) -> tuple[Any, Any]:
        updates, params = layout.to_reference(updates), layout.to_reference(params)
        updates, state = tx.update(updates, state, params)
        return layout.from_reference(updates), state

    return optax.GradientTransformation(init, update)


def _is_matrix(path: Any, _: Array) -> bool:
    """Whether a parameter is for Muon.

    A linear map inside of the network is: the kernels of attention and MLP.  The patch embedding
    and the head stand at its ends, where Adam is the custom (Jordan et al. 2024, "Muon"); position
    tables and tokens have two axes and are no maps at all.
    """
    names = _names(path)
    return names[-1] == "kernel" and any(name.startswith("block_") for name in names)


def _names(path: Any) -> list[str]:
    return [str(getattr(key, "key", key)) for key in path]


def muon(schedule: optax.Schedule, weight_decay: float) -> optax.GradientTransformation:
    """``optax.contrib.muon`` for a tree of kernels of problems 40 and 41, in stacks."""
    from optax import contrib

    inner = contrib.muon(
        schedule,
        weight_decay=weight_decay,
        muon_weight_dimension_numbers=lambda stacks: jax.tree.map(
            lambda _: contrib.MuonDimensionNumbers(1, 2), stacks
        ),
        consistent_rms=_RMS_OF_ADAM,
    )

    def init(params: Any) -> Any:
        return inner.init(_stacked(params))

    def update(updates: Any, state: Any, params: Any) -> tuple[Any, Any]:
        stacks, state = inner.update(_stacked(updates), state, _stacked(params))
        return _unstacked(stacks, updates), state

    return optax.GradientTransformation(init, update)


def _stacked(kernels: Any) -> dict[str, Array]:
    """The matrices of each size on top of each other, (n, in, out), in the order of the tree."""
    stacks = defaultdict(list)
    for path, kernel in jax.tree_util.tree_leaves_with_path(kernels):
        rows, columns = _size(path, kernel)
        stacks[_stack(rows, columns)].append(kernel.reshape(rows, columns))
    return {size: jnp.stack(matrices) for size, matrices in stacks.items()}


def _unstacked(stacks: dict[str, Array], kernels: Any) -> Any:
    """The matrices of `_stacked` in the tree and the shapes of ``kernels``."""
    of_size = {size: iter(stack) for size, stack in stacks.items()}

    def taken(path: Any, kernel: Array) -> Array:
        return next(of_size[_stack(*_size(path, kernel))]).reshape(kernel.shape)

    return jax.tree_util.tree_map_with_path(taken, kernels)


def _stack(rows: int, columns: int) -> str:
    """What a stack is called."""
    return f"{rows} x {columns}"


def _size(path: Any, kernel: Array) -> tuple[int, int]:
    """What goes into a kernel's map, and what comes out.

    Query, key and value are (in, head, dim), and the output projection is (head, dim, out).
    """
    into = kernel.ndim - 1 if _names(path)[-2] == "out" else 1
    return math.prod(kernel.shape[:into]), math.prod(kernel.shape[into:])

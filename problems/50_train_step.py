"""Problem 50: the optimiser and the training step.

## Why this matters

The models of the last problems are worth nothing until they are trained, and a
Transformer is not easy to train. Four ingredients have become standard, each
against a danger of its own:

- **Warm-up and cosine.** In the first steps Adam has hardly seen a gradient,
  and a large step based on so little can ruin the network for good. So the
  learning rate starts at 0 and grows; later it falls smoothly to 0, and the
  weights settle.
- **Weight decay, but not for everything.** Pulling weights towards 0 keeps
  them from growing without need. For a bias, the scale of a LayerNorm or a
  position, however, 0 is no natural place to be pulled to.
- **Clipping.** A single odd batch may give a huge gradient. Clipped by its
  norm it keeps its direction and loses its force.
- **Label smoothing.** A target of exactly 1 can only be met by infinite
  logits. A bit of doubt in the target stops that race.

You write them as four small functions, which are graded one by one.

## The architecture

`learning_rate_schedule(base_lr, warmup_steps, total_steps)` returns a function
from the step (a traced integer, counted from 0) to the learning rate:

    step 0 … warmup_steps                straight line from 0 to base_lr
    step warmup_steps … total_steps      half a cosine from base_lr to 0
    afterwards                           0

`total_steps` counts all the steps, those of the warm-up included, and you may
take it that 0 < warmup_steps < total_steps.

`weight_decay_mask(params)` returns a tree of the same structure with `True`
exactly at the leaves whose own name is `kernel`, and `False` at all others.

`make_optimizer(base_lr, warmup_steps, total_steps, weight_decay, max_norm)`
returns an optax transformation. A tree of gradients passes through

    clipping by global norm    all leaves together: length max_norm at most
    AdamW                      optax's defaults, your schedule, your mask

`train_step(state, batch, label_smoothing)`, with K classes:

    batch["image"], batch["label"]       (B, H, W, C), (B,) integers below K
    logits = state.apply_fn({"params": params}, images)    (B, K)
    smoothed targets                     (B, K), each row adds up to 1
    softmax cross-entropy                (B,)
    loss, its mean                       ()
    accuracy: share of the images whose largest logit is at the label    ()
              (of equal ones, one alone counts: argmax takes the first)

With s = `label_smoothing`, the targets are (1 - s) times the one-hot label
plus s / K in all K places. The result is `(new_state, {"loss": …,
"accuracy": …})`, both for the model before the step.

## A walk-through

The schedule with `base_lr` = 0.1, 4 steps of warm-up, 12 in all. The cosine
has 8 steps, and half-way through them it is at half its height:

    step             0      1      2      4      6       8      12     13
    learning rate    0      0.025  0.05   0.1    0.0854  0.05   0      0

Yes, the first update is zero; that is how the schedule is meant.

The mask for a tiny model, T for `True`:

    cls F    positions F    patch_embed: kernel T, bias F
    norm: scale F, bias F    head: kernel T, bias F

Clipping with `max_norm` = 1: a gradient of two leaves, (3, 0) and (4), has the
global norm 5 and becomes (0.6, 0) and (0.8). A gradient (0.3, 0), (0.4) has
the norm 0.5 and stays as it is.

Label smoothing with s = 0.1 and K = 4: the target is 0.925 for the label and
0.025 for each of the others. Logits (2, 0, 0, 0) with the label 0 have the
log-probabilities -0.341 and three times -2.341, so the loss is 0.925 · 0.341
+ 3 · 0.025 · 2.341 = 0.491, and 0.341 without smoothing. The accuracy is 1.

## Pitfalls

- "Includes the warm-up": count how many steps are left for the cosine. And a
  cosine goes up again after half a period; the learning rate must not.
- The step is traced. A Python `if` cannot look at it.
- Number of axes is no substitute for a name: position tables, CLS tokens and
  registers are matrices too. Nor is it enough that the name occurs somewhere
  along the path.
- AdamW decays the weights next to Adam, not through it. Decay that is added to
  the gradient gets divided by Adam's denominator.
- The order of clipping and AdamW matters: which of them sees the raw gradient?
- The cross-entropy takes logits, and so does the argmax of the accuracy.
- `label_smoothing` is an argument, 0.1 unless given. `TrainState` is frozen.

## Your task

Write the four functions. A later one may call those before it. Whether you
take the parts from optax or write formulas is up to you; the optimiser and
`train_step` have to work under `jax.jit`. For `train_step` the grader brings a
model and an optimiser of its own: a mistake in yours costs you only once.

    python -m grader problems/50_train_step.py

## Sources

- Loshchilov & Hutter 2019, AdamW, arXiv 1711.05101; Loshchilov & Hutter 2017,
  SGDR, arXiv 1608.03983: decoupled decay, and the cosine.
- Szegedy et al. 2016, arXiv 1512.00567: label smoothing.
- Dosovitskiy et al. 2021, ViT, arXiv 2010.11929, and Touvron et al. 2021,
  DeiT, arXiv 2012.12877: how ViTs are trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax.training.train_state import TrainState
from jaxtyping import Array, Float


def learning_rate_schedule(base_lr: float, warmup_steps: int, total_steps: int) -> optax.Schedule:
    """Linear from 0 to ``base_lr``, then half a cosine to 0 at ``total_steps``.

    Returns a function from a step () to the learning rate ().
    """
    raise NotImplementedError("write learning_rate_schedule in problems/50_train_step.py")


def weight_decay_mask(params: Any) -> Any:
    """A tree like ``params``, True exactly at the leaves named ``kernel``."""
    raise NotImplementedError("write weight_decay_mask in problems/50_train_step.py")


def make_optimizer(
    base_lr: float, warmup_steps: int, total_steps: int, weight_decay: float, max_norm: float
) -> optax.GradientTransformation:
    """Clipping by global norm, then AdamW with the schedule and the mask above."""
    raise NotImplementedError("write make_optimizer in problems/50_train_step.py")


def train_step(
    state: TrainState, batch: Mapping[str, Array], label_smoothing: float = 0.1
) -> tuple[TrainState, dict[str, Float[Array, ""]]]:
    """One optimiser step on ``batch = {"image": (B, H, W, C), "label": (B,)}``.

    ``state.apply_fn`` maps ``({"params": params}, images)`` to logits (B, K).

    Returns the new state and the loss and accuracy before the step.
    """
    raise NotImplementedError("write train_step in problems/50_train_step.py")

"""Problem 49: one step of distillation.

## Why this matters

A large model has been trained at great expense; you want a small one that does
nearly the same. Distillation needs no labels for it, only images: show each
image to both models and push the small one, the student, towards the answer of
the large one, the teacher. The student learns from a whole vector per image,
which says far more than one class out of a thousand.

Here the answers are embeddings, the kind that problem 48 produces. What counts
in an embedding is mostly its direction: it will be compared with others by the
angle between them. So the loss first brings both to the same length and then
asks how far apart they are, number by number.

This is also your first training step. It fits on a screen, and every line of
it is a place where something can go wrong that will not raise an error: a
teacher that learns, a student that does not, a loss that belongs to the wrong
weights. The grader therefore looks at more than the loss: at every parameter
after each of three steps, at the optimiser, and at the teacher.

## The architecture

Two functions. The first is the loss, for embeddings of B images, D numbers
each:

    student, teacher                             (B, D), (B, D)
    length of every row (Euclidean)              (B, 1), (B, 1)
    each row scaled to length `norm`             (B, D), (B, D)
    absolute difference                          (B, D)
    mean over B and D                            ()         loss

The second makes one step of the optimiser:

    images                                       (B, H, W, C)
    teacher_apply({"params": teacher_params}, images)       (B, D)
    state.apply_fn({"params": params}, images)              (B, D)
    normalized_l1 of the two                     ()         loss
    gradient with respect to the student's params, shaped like them
    optimiser                                    a new TrainState

A Flax `TrainState` holds what belongs together in training: `params`, the
optimiser `tx` and its memory `opt_state`, the counter `step`, and the function
`apply_fn` that runs the model. It is never changed in place; a step returns a
new one, in which the parameters, the optimiser's memory and the counter have
all moved on.

Two rules. The loss that is returned is the loss *before* the step, since that
is the one the gradient belongs to. And the teacher gets no gradient: whoever
differentiates the returned loss with respect to `teacher_params` should find
zeros everywhere. That is more than not updating the teacher: it stays true
whatever somebody builds around your step. (Leave it out and you pass with a
remark, as nothing in the step itself differentiates the teacher.)

## A walk-through

The loss for a single image (B = 1), D = 2 and `norm` = 10:

    student  (3, 4)    length 5    scaled: (6, 8)
    teacher  (0, 2)    length 2    scaled: (0, 10)

The absolute differences are 6 and 2, and their mean is 4. A student of
(30, 40) has the same loss, since only its direction counts. A student of
(0, 7) has the loss 0. With `norm` = 100 the loss of (3, 4) is 40.

Why 100 and not 1? In D = 512 dimensions the numbers of a vector of length 1
are about 1/√512 ≈ 0.04 each, and so are their differences. The factor makes
the loss easy to read, and the gradients grow with it.

One step with B = 8 images `(8, 32, 32, 3)` and D = 512: the teacher gives
`(8, 512)`, the student gives `(8, 512)`, the loss is one number, the gradient
has the shapes of the student's parameters, and `step` goes from 0 to 1.

## Pitfalls

- A row has a length of its own. The length of the whole matrix, or of a
  column, is something else.
- "Mean over B and D": a sum over either axis makes the learning rate depend on
  the batch size or on the width.
- L1 is the distance of the two vectors here. The lengths are ordinary ones.
- JAX differentiates a function with respect to its arguments. What is computed
  outside of that function is a constant to it, the student's embeddings too.
- `norm` has a default in both functions. A value that is handed to the step
  has to arrive in the loss.
- `TrainState` is frozen. Use what it returns.
- The step will run under `jax.jit`: no `float()`, no `.item()`, no printing of
  numbers on the way.

## Your task

Write `normalized_l1` and `distill_step`. They are graded one by one, and the
second may call the first. Both models map a batch `(B, H, W, C)` to `(B, D)`,
so that no `vmap` is needed; the grader brings small models of its own, and an
optimiser that has a memory and needs to see the parameters. Return
`(new_state, loss)`.

Rows of zeros do not occur. You may guard the division against them, with a
constant so small that it does not show.

    python -m grader problems/49_distill_step.py

## Sources

- Hinton, Vinyals, Dean 2015, "Distilling the Knowledge in a Neural Network",
  arXiv 1503.02531: the idea.
- TinyVolt, multimodal-patch-embeddings, github.com/TinyVolt: this loss, for
  the embeddings of a CLIP model.
- Touvron et al. 2021, "DeiT", arXiv 2012.12877: distillation for ViTs.
- Flax's documentation of `flax.training.train_state.TrainState`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax.training.train_state import TrainState
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float


def normalized_l1(
    student: Float[Array, "B D"], teacher: Float[Array, "B D"], norm: float = 100.0
) -> Float[Array, ""]:
    """Mean absolute difference after every row has been scaled to length ``norm``."""
    student_length = jnp.linalg.norm(student, axis=-1, keepdims=True)
    teacher_length = jnp.linalg.norm(teacher, axis=-1, keepdims=True)
    student_scaled = checkpoint_name(norm * student / student_length, "student_scaled")
    teacher_scaled = checkpoint_name(norm * teacher / teacher_length, "teacher_scaled")
    return checkpoint_name(jnp.abs(student_scaled - teacher_scaled).mean(), "loss")


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
    targets = jax.lax.stop_gradient(teacher_apply({"params": teacher_params}, images))
    targets = checkpoint_name(targets, "targets")

    def loss_of(params: Any) -> Float[Array, ""]:
        embeddings = checkpoint_name(state.apply_fn({"params": params}, images), "embeddings")
        return normalized_l1(embeddings, targets, norm)

    loss, gradients = jax.value_and_grad(loss_of)(state.params)
    return state.apply_gradients(grads=gradients), loss

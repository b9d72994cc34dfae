"""The losses as a run knows them: embeddings of student and teacher in, a number out.

Student and teacher live in one space, so a teacher's classes are classes of the student, too:
where a loss wants logits, both embeddings go through the teacher's own frozen classifier. The
student has no head of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from solutions.distillation.losses import (
    Normalisation,
    affinity_mimicking,
    cosine_and_mse,
    hard_label,
    kl_divergence,
    normalized_l1,
    unit_rows,
)
from solutions.distillation.settings import Distillation

Loss = Callable[..., Float[Array, ""]]
Classify = Callable[[Float[Array, " D"]], Float[Array, " K"]]

NEED_CLASSES = ("kl", "kl-deit", "hard")
NEED_PROTOTYPES = ("affinity",)


@dataclass(frozen=True)
class Objective:
    """A loss.

    Attributes:
      of_batch: student (B, D), teacher (B, D) and labels (B,) to the loss of a batch.
      of_each: the same to a number for each image (B,), whose mean over any images is the loss;
        for ``affinity``, which compares whole batches, only its half that goes by images.

    """

    of_batch: Loss
    of_each: Callable[..., Float[Array, " B"]]


def objective(
    asked: Distillation,
    classify: Classify | None = None,
    prototypes: Float[Array, "K D"] | None = None,
) -> Objective:
    """The loss that a distillation asks for.

    Args:
      asked: its name and its numbers.
      classify: an embedding to the teacher's logits, for ``kl``, ``kl-deit`` and ``hard``.
      prototypes: an embedding of each class by the teacher, for ``affinity``.

    Raises:
      ValueError: what the loss needs is not given.

    """
    if asked.loss in NEED_CLASSES and classify is None:
        raise ValueError(f"the loss {asked.loss} needs a teacher that knows classes")
    if asked.loss in NEED_PROTOTYPES and prototypes is None:
        raise ValueError(f"the loss {asked.loss} needs an embedding for each class")
    of_batch = _form(asked, classify, prototypes)
    if asked.loss == "affinity":
        return Objective(of_batch, partial(_by_image, prototypes))

    def of_each(student: Array, teacher: Array, labels: Array) -> Array:
        return jax.vmap(lambda *row: of_batch(*(part[None] for part in row)))(
            student, teacher, labels
        )

    return Objective(of_batch, of_each)


def _form(asked: Distillation, classify: Classify | None, prototypes: Array | None) -> Loss:
    if asked.loss == "l1":
        return lambda s, t, _: normalized_l1(s, t, asked.norm)
    if asked.loss == "cosine":
        return lambda s, t, _: cosine_and_mse(s, t)
    if asked.loss == "affinity":
        return lambda s, t, _: affinity_mimicking(s, prototypes, t, prototypes)
    assert classify is not None
    logits = jax.vmap(classify)
    if asked.loss == "hard":

        def hard(s: Array, t: Array, labels: Int[Array, " B"]) -> Array:
            ours = logits(s)
            return hard_label(ours, ours, logits(t), labels)

        return hard
    normalisation: Normalisation = "deit" if asked.loss == "kl-deit" else "batch-mean"
    return lambda s, t, _: kl_divergence(logits(s), logits(t), asked.temperature, normalisation)


def words_of(asked: Distillation) -> str:
    """The form of the loss, for a person to read."""
    kl = f"T² · KL(teacher, student) of softened classes at T = {asked.temperature:g}, divided by "
    return {
        "l1": f"mean |s − t|, both scaled to length {asked.norm:g} (problem 49)",
        "cosine": "mean (1 − cosine) + mean (s − t)²",
        "kl": kl + "the number of images",
        "kl-deit": kl + "the number of images and of classes",
        "hard": "half cross-entropy with the label, half with the teacher's choice (DeiT)",
        "affinity": "cross-entropy between softmaxes of 100 · cosine with each class, the mean of "
        "by image and by class (TinyCLIP); tested by image only",
    }[asked.loss]


def curve_names(asked: Distillation) -> tuple[str, str]:
    """What the losses of training and of testing are called where they share an axis."""
    if asked.loss == "affinity":  # `Objective.of_each` has no half by class
        return "train (by image and by class)", "test (by image only)"
    return "train", "test"


def _by_image(prototypes: Array, student: Array, teacher: Array, _: Array) -> Float[Array, " B"]:
    """Affinity mimicking by images alone: a number for each does not depend on the others."""
    unit = unit_rows(prototypes)
    ours, theirs = (100 * unit_rows(x) @ unit.T for x in (student, teacher))
    return -(jax.nn.softmax(theirs) * jax.nn.log_softmax(ours)).sum(axis=-1)


def cosine(student: Float[Array, "B D"], teacher: Float[Array, "B D"]) -> Float[Array, " B"]:
    """The cosine of each pair of rows."""
    return jnp.sum(unit_rows(student) * unit_rows(teacher), axis=-1)

"""Losses of distillation, each with its exact form.

Two normalisations of the Kullback-Leibler divergence are in use and differ by the number of
classes; `kl_divergence` has both. No loss stops the teacher's gradient: the step does
(`distill_step` of problem 49).
"""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from grader import use

normalized_l1 = use(49).normalized_l1
"""Problem 49's: ``mean over B and D of |norm · s/‖s‖ − norm · t/‖t‖|``, ``norm`` 100."""

Normalisation = Literal["batch-mean", "deit"]


def kl_divergence(
    student: Float[Array, "B C"],
    teacher: Float[Array, "B C"],
    temperature: float = 1.0,
    normalisation: Normalisation = "batch-mean",
) -> Float[Array, ""]:
    """Kullback-Leibler divergence of softened classes, teacher from student.

        p = softmax(teacher / T),  q = softmax(student / T)
        T² · Σ_b Σ_c p (log p − log q) / n

    Args:
      student: logits (B, C).
      teacher: logits (B, C).
      temperature: T.
      normalisation: what n is. ``batch-mean``: B, so that the loss is a mean over images of a
        divergence, as in Hinton et al. ``deit``: B · C, as DeiT's published code divides by
        the number of logits; C times smaller.

    Returns:
      The loss, a scalar in nats.

    Raises:
      ValueError: another normalisation.

    Sources: Hinton, Vinyals, Dean 2015, arXiv 1503.02531 (T² keeps the gradients comparable);
    Touvron et al. 2021, arXiv 2012.12877, the second term of equation 2 (the first is the
    cross-entropy with the labels), and ``losses.py`` of its code.

    """
    if normalisation not in ("batch-mean", "deit"):
        raise ValueError(f"normalisation is batch-mean or deit, not {normalisation}")
    log_p = jax.nn.log_softmax(teacher / temperature)
    log_q = jax.nn.log_softmax(student / temperature)
    divergence = (jnp.exp(log_p) * (log_p - log_q)).sum()
    count = student.shape[0] if normalisation == "batch-mean" else student.size
    return temperature**2 * divergence / count


def hard_label(
    class_logits: Float[Array, "B C"],
    distillation_logits: Float[Array, "B C"],
    teacher: Float[Array, "B C"],
    labels: Int[Array, " B"],
    teacher_share: float = 0.5,
) -> Float[Array, ""]:
    """DeiT's hard-label distillation: the teacher's choice as a second label.

        (1 − a) · CE(class_logits, labels) + a · CE(distillation_logits, argmax teacher)

    Args:
      class_logits: (B, C), what the student says on its own.
      distillation_logits: (B, C), of a second head; the same array again for a student that
        has only one head.
      teacher: logits (B, C), of which only the largest matters.
      labels: (B,), the true classes.
      teacher_share: a; one half in the paper.

    Returns:
      The mean over the batch, a scalar in nats.

    Source: Touvron et al. 2021, arXiv 2012.12877, equation 3, which takes the same logits in both
    terms; the paper's distilled models have a head for each.

    """
    cross_entropy = optax.softmax_cross_entropy_with_integer_labels
    true = cross_entropy(class_logits, labels).mean()
    taught = cross_entropy(distillation_logits, teacher.argmax(axis=-1)).mean()
    return (1 - teacher_share) * true + teacher_share * taught


def cosine_and_mse(
    student: Float[Array, "*rows D"],
    teacher: Float[Array, "*rows D"],
    cosine_weight: float = 1.0,
    mse_weight: float = 1.0,
) -> Float[Array, ""]:
    """Direction and size together, for embeddings or for dense features.

        w_c · mean over rows of (1 − cos(s, t)) + w_m · mean over rows and D of (s − t)²

    Args:
      student: (…, D), rows of any number of axes.
      teacher: (…, D), the same rows.
      cosine_weight: w_c.
      mse_weight: w_m.

    Returns:
      The loss, a scalar. A row of zeros has no direction: its gradient is not defined.

    Source: the two terms are those of Chen et al. 2025, "Vision Transformers with
    Self-Distilled Registers" (PH-Reg), arXiv 2505.21501, for the patch tokens of teacher and
    student; the equal weights are ours.

    """
    cosine = (unit_rows(student) * unit_rows(teacher)).sum(axis=-1)
    squares = jnp.square(student - teacher).mean()
    return cosine_weight * (1 - cosine).mean() + mse_weight * squares


def affinity_mimicking(
    student: Float[Array, "B D"],
    student_queries: Float[Array, "Q D"],
    teacher: Float[Array, "B E"],
    teacher_queries: Float[Array, "Q E"],
    student_scale: float = 100.0,
    teacher_scale: float = 100.0,
) -> Float[Array, ""]:
    """The student's similarities between images and queries imitate the teacher's.

        A = scale · cos(image_i, query_j), for student and teacher
        ½ · CE(softmax of the teacher's rows, softmax of the student's rows)
        + ½ · the same for columns

    CE is the cross-entropy −Σ p log q, a mean over the rows (columns). It is not zero when the
    two agree: then it is the entropy of the teacher's affinities.

    Args:
      student: embeddings (B, D) of the images.
      student_queries: embeddings (Q, D) of texts, or class prototypes, in the student's space.
      teacher: embeddings (B, E) of the same images; E may differ from D.
      teacher_queries: embeddings (Q, E) of the same texts or classes in the teacher's space.
      student_scale: the factor before the softmax, 1 / temperature; CLIP's stops at 100.
      teacher_scale: the same for the teacher.

    Returns:
      The loss, a scalar in nats.

    Source: Wu et al. 2023, "TinyCLIP", arXiv 2309.12314, affinity mimicking, and
    ``ClipSoftLoss`` of its code, which averages the two directions.

    """
    ours = student_scale * unit_rows(student) @ unit_rows(student_queries).T
    theirs = teacher_scale * unit_rows(teacher) @ unit_rows(teacher_queries).T
    return (_soft_cross_entropy(ours, theirs) + _soft_cross_entropy(ours.T, theirs.T)) / 2


def unit_rows(x: Float[Array, "*rows D"]) -> Float[Array, "*rows D"]:
    """Every row scaled to length 1."""
    return x / jnp.linalg.norm(x, axis=-1, keepdims=True)


def _soft_cross_entropy(
    logits: Float[Array, "n m"], target_logits: Float[Array, "n m"]
) -> Float[Array, ""]:
    targets = jax.nn.softmax(target_logits)
    return optax.softmax_cross_entropy(logits, targets).mean()

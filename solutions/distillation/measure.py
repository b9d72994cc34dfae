"""Student and teacher in numbers, on the test images."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int, UInt8

from solutions.distillation.retrieval import mean_cosine, neighbour_agreement
from solutions.distillation.run import Distilled, of_all_classes, teacher_embeddings
from solutions.distillation.teacher import Teacher
from solutions.registers.probes import linear_probe

MOST_IMAGES = 2000
"""Of the training and of the test images, how many are looked at, at most."""

NEIGHBOURS = 10
_ROUNDS = 5
_SPEED_BATCH = 250

Embed = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Embedded:
    """Embeddings of the same images by student and teacher.

    Attributes:
      train_student, train_teacher: (n, D), of training images.
      train_labels: (n,).
      student, teacher: (m, D), of test images.
      images, labels: those test images, uint8 (m, H, W, C), and their classes (m,).

    """

    train_student: Float[np.ndarray, "n D"]
    train_teacher: Float[np.ndarray, "n D"]
    train_labels: Int[np.ndarray, " n"]
    student: Float[np.ndarray, "m D"]
    teacher: Float[np.ndarray, "m D"]
    images: UInt8[np.ndarray, "m H W C"]
    labels: Int[np.ndarray, " m"]


@dataclass(frozen=True)
class OneSide:
    """One of the two models.

    Attributes:
      parameters: how many numbers its embedding takes; a classifier on top is left out.
      images_per_second: forward, compiled, batches of up to 250, median of 5 rounds in which
        the two models take turns.
      probe: accuracy of a logistic regression on its frozen embeddings.

    """

    parameters: int
    images_per_second: float
    probe: float


@dataclass(frozen=True)
class Comparison:
    """Both models.

    Attributes:
      student, teacher: each on its own.
      cosine: mean over the images of the cosine of the two embeddings.
      same_class: the share of the images that the teacher's classifier gives the same class by
        either embedding; None where it knows no classes.
      nearest, neighbours: the share of the nearest and of the ten nearest neighbours of each
        image that student and teacher have in common (`neighbour_agreement`, k = 1 and 10).
      chance: what ``neighbours`` would be for a student that knows nothing.
      neighbours_asked: k of ``neighbours``.
      test_images, probe_images: how many the numbers rest on; how many a probe was fitted to.

    """

    student: OneSide
    teacher: OneSide
    cosine: float
    same_class: float | None
    nearest: float
    neighbours: float
    chance: float
    neighbours_asked: int
    test_images: int
    probe_images: int


def embed_both(distilled: Distilled) -> Embedded:
    """The embeddings of up to `MOST_IMAGES` training and as many test images, of all classes."""
    data = distilled.data
    train = of_all_classes(data.train_labels, MOST_IMAGES)
    test = of_all_classes(data.test_labels, MOST_IMAGES)
    return Embedded(
        distilled.embed(data.train_images[train]),
        teacher_embeddings(distilled.teacher, data.train_images[train]),
        data.train_labels[train],
        distilled.embed(data.test_images[test]),
        teacher_embeddings(distilled.teacher, data.test_images[test]),
        data.test_images[test],
        data.test_labels[test],
    )


def compare(distilled: Distilled, found: Embedded) -> Comparison:
    """Put the two beside each other.

    Args:
      distilled: student and teacher.
      found: their embeddings.

    """
    images = found.images[:_SPEED_BATCH]
    count = len(found.labels)
    k = min(NEIGHBOURS, count - 1)

    def by_teacher(images: np.ndarray) -> np.ndarray:
        return teacher_embeddings(distilled.teacher, images)

    def side(params: object, speed: float, probe: float) -> OneSide:
        return OneSide(sum(np.size(leaf) for leaf in jax.tree.leaves(params)), speed, probe)

    ours, theirs = _speeds([distilled.embed, by_teacher], images)

    return Comparison(
        student=side(
            distilled.params,
            ours,
            linear_probe(found.train_student, found.train_labels, found.student, found.labels),
        ),
        teacher=side(
            _without_head(distilled.teacher.params),
            theirs,
            linear_probe(found.train_teacher, found.train_labels, found.teacher, found.labels),
        ),
        cosine=mean_cosine(found.student, found.teacher),
        same_class=_same_class(distilled.teacher, found),
        nearest=neighbour_agreement(found.student, found.teacher),
        neighbours=neighbour_agreement(found.student, found.teacher, k),
        chance=k / (count - 1),
        neighbours_asked=k,
        test_images=count,
        probe_images=len(found.train_labels),
    )


def _without_head(params: Any) -> Any:
    """The parameters of a trained run without those of its classifier (`run_teacher`)."""
    if isinstance(params, Mapping):
        return {name: part for name, part in params.items() if name != "head"}
    return params


def _same_class(teacher: Teacher, found: Embedded) -> float | None:
    classify = teacher.classify
    if classify is None:
        return None
    logits = jax.vmap(lambda embedding: classify(teacher.params, embedding))
    ours, theirs = (logits(rows).argmax(axis=-1) for rows in (found.student, found.teacher))
    return float((ours == theirs).mean())


def _speeds(embeds: Sequence[Embed], images: np.ndarray) -> list[float]:
    """Images per second of each, measured in turns: what else the machine does meets all alike."""
    seconds: list[list[float]] = [[] for _ in embeds]
    for embed in embeds:
        embed(images)
    for _ in range(_ROUNDS):
        for embed, taken in zip(embeds, seconds, strict=True):
            began = time.perf_counter()
            embed(images)
            taken.append(time.perf_counter() - began)
    return [len(images) / statistics.median(taken) for taken in seconds]

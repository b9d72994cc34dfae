"""Where student and teacher look, and what they find, as arrays; `report` draws them."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Float

from solutions.distillation.pictures import as_grid, class_attention_map
from solutions.distillation.retrieval import Ranking, rank, similarity_map
from solutions.distillation.run import Distilled
from solutions.distillation.teacher import Teacher
from solutions.registers.capture import capture


def pooling_maps(distilled: Distilled, images: np.ndarray) -> Float[np.ndarray, "N h w"]:
    """The student's pooling probabilities on its grid, for uint8 images (N, H, W, C)."""
    student, params = distilled.student, distilled.params
    look = jax.jit(jax.vmap(lambda image: student.apply({"params": params}, image)[1]))
    found = np.asarray(look(distilled.prepared(images)))
    return np.stack([as_grid(values, distilled.grid) for values in found])


def teacher_maps(teacher: Teacher, images: np.ndarray) -> Float[np.ndarray, "N h w"] | None:
    """What the teacher's last layer attends to, for uint8 images (N, H, W, C).

    The attention of its CLS token among the patches, or without one that of the patches among
    themselves; a mean over heads (and patches), adding up to 1. None for a teacher that cannot
    be looked into.
    """
    if teacher.module is None or teacher.rows is None or teacher.grid is None:
        return None
    prepared = np.asarray(teacher.prepare(images.astype(np.float32) / 255))
    last = capture(teacher.module, teacher.params, prepared, teacher.rows).attention[-1]
    patches, cls = teacher.rows.patches, teacher.rows.cls
    if cls is not None:
        return np.stack([class_attention_map(one, patches, teacher.grid, cls) for one in last])
    among = last[:, :, patches, patches].mean(axis=(1, 2))
    return np.stack([as_grid(one / one.sum(), teacher.grid) for one in among])


def patch_similarity(
    distilled: Distilled, query: Float[np.ndarray, " D"], images: np.ndarray
) -> Float[np.ndarray, "N h w"]:
    """The cosine of each of the student's patches with a query, for uint8 images."""
    student, params = distilled.student, distilled.params

    def patches(image: jax.Array) -> jax.Array:
        return student.apply({"params": params}, image, method=student.patch_embeddings)

    found = np.asarray(jax.jit(jax.vmap(patches))(distilled.prepared(images)))
    return np.stack([similarity_map(query, one, distilled.grid) for one in found])


@dataclass(frozen=True)
class Search:
    """One query asked of both.

    Attributes:
      name: of the query.
      query: the embedding (D,).
      label: the class it stands for; None for a given embedding.
      student, teacher: the ranking of the same images by each.

    """

    name: str
    query: Float[np.ndarray, " D"]
    label: int | None
    student: Ranking
    teacher: Ranking

    def shared(self, count: int) -> float:
        """The share of the first ``count`` images that both have found."""
        ours, theirs = self.student.order[:count], self.teacher.order[:count]
        return len(np.intersect1d(ours, theirs)) / min(count, len(self.student.order))


def search(
    name: str,
    query: Float[np.ndarray, " D"],
    student: Float[np.ndarray, "N D"],
    teacher: Float[np.ndarray, "N D"],
    label: int | None = None,
) -> Search:
    """Rank the same images for one query by both models' embeddings."""
    return Search(name, query, label, rank(query, student), rank(query, teacher))

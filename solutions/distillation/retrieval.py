"""Compare embeddings: search, similarity maps, and how far student and teacher agree.

All similarities are cosines, so the lengths of embeddings play no part.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from solutions.distillation.pictures import as_grid


class Ranking(NamedTuple):
    """Images in order of their similarity to a query.

    Attributes:
      order: (N,) indices, the best first; of equal ones the earlier.
      scores: (N,) cosines in that order.

    """

    order: Int[np.ndarray, " N"]
    scores: Float[np.ndarray, " N"]


def unit_rows(x: Float[np.ndarray, "*rows D"]) -> Float[np.ndarray, "*rows D"]:
    """Every row scaled to length 1.

    Raises:
      ValueError: a row is all zeros, or not finite, and has no direction.

    """
    lengths = np.linalg.norm(x, axis=-1, keepdims=True)
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        raise ValueError("an embedding of zeros or of infinite length has no direction")
    return x / lengths


def rank(query: Float[np.ndarray, " D"], embeddings: Float[np.ndarray, "N D"]) -> Ranking:
    """Rank images for a query embedding, such as a class prototype or CLIP's of a text."""
    scores = unit_rows(embeddings) @ unit_rows(query)
    order = np.argsort(-scores, kind="stable")
    return Ranking(order, scores[order])


def class_prototypes(
    embeddings: Float[np.ndarray, "N D"], labels: Int[np.ndarray, " N"]
) -> Float[np.ndarray, "K D"]:
    """For every class from 0 to the largest label the mean direction of its images.

    Returns:
      (K, D), rows of length 1.

    Raises:
      ValueError: a class has no image.

    """
    classes = np.arange(labels.max() + 1)
    empty = np.setdiff1d(classes, labels)
    if empty.size:
        raise ValueError(f"class {empty[0]} has no image to make a prototype of")
    unit = unit_rows(embeddings)
    return unit_rows(np.stack([unit[labels == k].mean(axis=0) for k in classes]))


def similarity_map(
    query: Float[np.ndarray, " D"],
    patch_embeddings: Float[np.ndarray, "N D"],
    grid: tuple[int, int],
) -> Float[np.ndarray, "h w"]:
    """The cosine of every patch of one image with a query, as a map (h, w)."""
    return as_grid(unit_rows(patch_embeddings) @ unit_rows(query), grid)


def neighbour_agreement(
    student: Float[np.ndarray, "N D"], teacher: Float[np.ndarray, "N E"], k: int = 1
) -> float:
    """The share of each image's k nearest neighbours on which student and teacher agree.

    Args:
      student: embeddings (N, D) of N images.
      teacher: embeddings (N, E) of the same images.
      k: how many neighbours count; the image itself is none of them.

    Returns:
      The mean over the images of ``|S ∩ T| / k``: 1 when all sets are the same, about
      ``k / (N − 1)`` by chance.

    Raises:
      ValueError: there are not more than k images, or not the same number.

    """
    if len(student) != len(teacher) or len(student) <= k:
        raise ValueError(f"{len(student)} and {len(teacher)} embeddings, for {k} neighbours each")
    ours, theirs = _nearest(student, k), _nearest(teacher, k)
    shared = [len(np.intersect1d(a, b)) for a, b in zip(ours, theirs, strict=True)]
    return float(np.mean(shared) / k)


def mean_cosine(student: Float[np.ndarray, "N D"], teacher: Float[np.ndarray, "N D"]) -> float:
    """The mean cosine between the embeddings of the same images."""
    return float((unit_rows(student) * unit_rows(teacher)).sum(axis=-1).mean())


def _nearest(embeddings: Float[np.ndarray, "N D"], k: int) -> Int[np.ndarray, "N k"]:
    unit = unit_rows(embeddings)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -np.inf)
    return np.argsort(-similarity, axis=1, kind="stable")[:, :k]

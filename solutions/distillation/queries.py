"""Embeddings to search with, from files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float

from solutions.training.data import BadData


def read_query(path: Path) -> Float[np.ndarray, "D"]:
    """The one embedding in a ``.npy`` file, such as CLIP's of a text (`text_embedder`).

    Raises:
      BadData: it cannot be read, or holds something else.

    """
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0][:150]
        raise BadData(f"the query {path} cannot be read as .npy: {reason}") from None
    if not isinstance(values, np.ndarray) or values.ndim != 1 or values.dtype.kind != "f":
        raise BadData(f"the query {path} must hold one array of floats of shape (D,)")
    if not (np.isfinite(values).all() and values.any()):
        raise BadData(f"the query {path} has no direction: it is all zeros, or not finite")
    return values


def check_query(name: str, query: Float[np.ndarray, "D"], length: int) -> None:
    """Whether a query can be compared with the teacher's embeddings.

    Raises:
      BadData: it is longer or shorter.

    """
    if len(query) != length:
        raise BadData(
            f"the query {name} has length {len(query)}; the teacher's embeddings have {length}"
        )

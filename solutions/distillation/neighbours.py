"""Which patches are neighbours."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool


def neighbour_mask(grid: tuple[int, int]) -> Bool[np.ndarray, "N N"]:
    """Which patch may attend to which when each sees only itself and the patches around it.

    Args:
      grid: rows and columns of patches; N is their product, patches count row by row.

    Returns:
      True at ``[i, j]`` when the patches i and j are at Chebyshev distance 0 or 1: the larger
      of the differences of their rows and of their columns is at most 1. A patch inside the
      grid sees 9 patches, one at an edge 6, one in a corner 4.

    Raises:
      ValueError: a side of the grid is not positive.

    Source: TinyVolt, multimodal-patch-embeddings, ``get_attn_mask`` (square grids there).

    """
    height, width = grid
    if height < 1 or width < 1:
        raise ValueError(f"a grid needs rows and columns, {height} × {width} has none")
    row, column = np.divmod(np.arange(height * width), width)
    rows_apart = np.abs(row[:, None] - row[None, :])
    columns_apart = np.abs(column[:, None] - column[None, :])
    return np.maximum(rows_apart, columns_apart) <= 1

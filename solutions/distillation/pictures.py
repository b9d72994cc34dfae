"""Where a model looks, as arrays; `solutions.distillation.plots` draws them."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float, Int


def resize_grid(
    grid: Float[np.ndarray, "h w"], shape: tuple[int, int], keep: Literal["sum", "mean"] = "sum"
) -> Float[np.ndarray, "H W"]:
    """A map on one grid of patches as a map on another one over the same image.

    Each cell is spread evenly over its area and collected by the cells of the new grid that it
    overlaps. So an 8 × 8 map of a student can stand beside the 7 × 7 map of its teacher.

    Args:
      grid: (h, w).
      shape: (H, W) of the result, larger or smaller.
      keep: ``sum`` for probabilities and attention, which still add up to the same; ``mean``
        for values such as similarities, where a constant map stays that constant.

    Returns:
      (H, W).

    """
    rows = _overlaps(grid.shape[0], shape[0])
    columns = _overlaps(grid.shape[1], shape[1])
    if keep == "mean":
        rows, columns = (x / x.sum(axis=1, keepdims=True) for x in (rows, columns))
    return rows @ grid @ columns.T


def _overlaps(old: int, new: int) -> Float[np.ndarray, "new old"]:
    """The share of each of ``old`` equal parts of a length that falls into each of ``new``."""
    starts, ends = np.arange(old) / old, np.arange(1, old + 1) / old
    new_starts, new_ends = np.arange(new) / new, np.arange(1, new + 1) / new
    shared = np.minimum(ends[None], new_ends[:, None]) - np.maximum(
        starts[None], new_starts[:, None]
    )
    return np.clip(shared, 0, None) * old


def enlarge(grid: Float[np.ndarray, "h w"], shape: tuple[int, int]) -> Float[np.ndarray, "H W"]:
    """The map at every pixel: each pixel has the value of the patch that its middle lies in.

    Args:
      grid: (h, w), one value for each patch.
      shape: (H, W) of the image.

    Returns:
      (H, W).

    """
    rows, columns = (
        (2 * np.arange(pixels) + 1) * cells // (2 * pixels)
        for pixels, cells in zip(shape, grid.shape, strict=True)
    )
    return grid[np.ix_(rows, columns)]


def overlay(
    image: Float[np.ndarray, "H W C"], grid: Float[np.ndarray, "h w"]
) -> Float[np.ndarray, "H W C"]:
    """The image, dark where the map is small: the brightest patch keeps its pixels.

    Args:
      image: (H, W, C), values from 0 to 1.
      grid: (h, w), not negative and not all zero, such as pooling probabilities or attention.

    Returns:
      (H, W, C): each pixel times its patch's value over the largest value.

    Raises:
      ValueError: the map has a negative value, or no positive one.

    Source: the pictures of TinyVolt, multimodal-patch-embeddings.

    """
    if grid.min() < 0 or grid.max() <= 0:
        raise ValueError("an overlay needs a map without negative values that is not all zero")
    return image * enlarge(grid / grid.max(), image.shape[:2])[..., None]


def as_grid(values: Float[np.ndarray, " N"], grid: tuple[int, int]) -> Float[np.ndarray, "h w"]:
    """One value for each patch, row by row, as a map.

    Raises:
      ValueError: there are not as many values as patches.

    """
    if values.shape != (grid[0] * grid[1],):
        raise ValueError(f"{values.shape} values do not fill a grid of {grid[0]} × {grid[1]}")
    return values.reshape(grid)


def most_attended(weights: Float[np.ndarray, " N"], count: int) -> Int[np.ndarray, " count"]:
    """The patches with the largest weights, largest first; of equal ones the earlier."""
    return np.argsort(-weights, kind="stable")[:count]


def cut_patches(
    image: Float[np.ndarray, "H W C"], grid: tuple[int, int]
) -> Float[np.ndarray, "N p q C"]:
    """The pixels of every patch, row by row.

    Args:
      image: (H, W, C).
      grid: rows and columns of patches.

    Returns:
      (N, H / rows, W / columns, C).

    Raises:
      ValueError: the grid does not divide the image.

    """
    height, width, channels = image.shape
    if height % grid[0] or width % grid[1]:
        raise ValueError(f"{height} × {width} pixels are no grid of {grid[0]} × {grid[1]} patches")
    p, q = height // grid[0], width // grid[1]
    cut = image.reshape(grid[0], p, grid[1], q, channels).transpose(0, 2, 1, 3, 4)
    return cut.reshape(-1, p, q, channels)


def class_attention_map(
    attention: Float[np.ndarray, "H T T"], patches: slice, grid: tuple[int, int], cls: int = 0
) -> Float[np.ndarray, "h w"]:
    """What CLS attends to in one layer, averaged over the heads, among the patches only.

    Args:
      attention: (H, T, T), rows are queries; see `solutions.registers.capture`.
      patches: which rows of the sequence are patches.
      grid: rows and columns of patches.
      cls: the row of the CLS token.

    Returns:
      (h, w), adding up to 1.

    """
    weights = attention[:, cls, patches].mean(axis=0)
    return as_grid(weights / weights.sum(), grid)

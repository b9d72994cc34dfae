"""Pictures with Matplotlib, on top of the arrays of `pictures` and `retrieval`.

Each function draws on axes that it is given and computes nothing of its own, so a notebook or
a report decides how they are put together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from solutions.distillation.pictures import cut_patches, enlarge, most_attended, overlay
from solutions.distillation.retrieval import Ranking

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def show_image(axes: Axes, image: Float[np.ndarray, "H W C"], title: str = "") -> None:
    """Draw an image, values from 0 to 1, grey or in colour, without ticks."""
    shown = image[..., 0] if image.shape[-1] == 1 else image
    axes.imshow(np.clip(shown, 0, 1), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_title(title)
    axes.set_axis_off()


def show_overlay(
    axes: Axes, image: Float[np.ndarray, "H W C"], grid: Float[np.ndarray, "h w"], title: str = ""
) -> None:
    """Draw the image, dark where the map (pooling probabilities, attention) is small."""
    show_image(axes, overlay(image, grid), title)


def show_map(
    axes: Axes,
    image: Float[np.ndarray, "H W C"],
    grid: Float[np.ndarray, "h w"],
    title: str = "",
    limits: tuple[float, float] | None = None,
) -> None:
    """Draw a map of values of any sign (such as similarities) half transparent on the image."""
    show_image(axes, image, title)
    low, high = limits if limits is not None else (float(grid.min()), float(grid.max()))
    shown = enlarge(grid, image.shape[:2])
    axes.imshow(shown, cmap="viridis", vmin=low, vmax=high, alpha=0.6, interpolation="nearest")


def show_top_patches(
    row: Sequence[Axes], image: Float[np.ndarray, "H W C"], grid: Float[np.ndarray, "h w"]
) -> None:
    """Draw the patches with the largest weights, largest first, one on each of the axes."""
    patches = cut_patches(image, (grid.shape[0], grid.shape[1]))
    weights = grid.ravel()
    for axes, index in zip(row, most_attended(weights, len(row)), strict=False):
        show_image(axes, patches[index], f"{weights[index]:.2f}")


def show_ranking(
    row: Sequence[Axes], images: Float[np.ndarray, "N H W C"], ranking: Ranking
) -> None:
    """Draw the best images for a query with their cosines, one on each of the axes."""
    for axes, index, score in zip(row, ranking.order, ranking.scores, strict=False):
        show_image(axes, images[index], f"{score:.2f}")

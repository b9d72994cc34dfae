"""Norms of patch tokens: how they spread, which stick out, and what sticks out with them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

MAD_FACTOR = 10.0
RATIO = 3.0


@dataclass(frozen=True)
class NormSummary:
    """The norms of the patch tokens of one layer, over images and patches.

    Attributes:
      median, maximum: of the norms.
      max_over_median: their ratio; 1 when all norms are the same.
      mad: the median absolute deviation, ``median(|norm − median|)``, not scaled to a normal
        distribution.
      share_above_mad: of the norms, how many lie above ``median + mad_factor · mad``.
      cutoff, share_above_cutoff: a given limit, and how many lie above it; None without one.
      counts, edges: a histogram: bins from 0 to the maximum, counts add up to the tokens.

    """

    median: float
    maximum: float
    max_over_median: float
    mad: float
    share_above_mad: float
    cutoff: float | None
    share_above_cutoff: float | None
    counts: Int[np.ndarray, " bins"]
    edges: Float[np.ndarray, " bins+1"]


def token_norms(tokens: Float[np.ndarray, "*axes D"]) -> Float[np.ndarray, "*axes"]:
    """Euclidean lengths of tokens (…, D)."""
    return np.linalg.norm(tokens, axis=-1)


def summarise(
    norms: Float[np.ndarray, "*axes"],
    mad_factor: float = MAD_FACTOR,
    cutoff: float | None = None,
    bins: int = 50,
) -> NormSummary:
    """Describe the norms of one layer.

    Args:
      norms: of any shape, at least one.
      mad_factor: k in the limit ``median + k · MAD``.
      cutoff: an absolute limit; Darcet et al. took 150 for DINOv2-g.
      bins: of the histogram.

    Source: Darcet et al. 2024, arXiv 2309.16588, section 2 and figure 3 (histogram, cutoff).

    """
    values = np.ravel(norms)
    median, maximum = float(np.median(values)), float(values.max())
    mad = float(np.median(np.abs(values - median)))
    counts, edges = np.histogram(values, bins=bins, range=(0, maximum))
    return NormSummary(
        median=median,
        maximum=maximum,
        max_over_median=maximum / median if median else float("inf"),
        mad=mad,
        share_above_mad=float((values > median + mad_factor * mad).mean()),
        cutoff=cutoff,
        share_above_cutoff=None if cutoff is None else float((values > cutoff).mean()),
        counts=counts,
        edges=edges,
    )


def high_norm(
    norms: Float[np.ndarray, "*axes"], mad_factor: float = MAD_FACTOR, ratio: float = RATIO
) -> Bool[np.ndarray, "*axes"]:
    """Which tokens of one layer have a norm far above the others'.

    A token counts when its norm is above ``median + mad_factor · MAD`` *and* above
    ``ratio · median``. The first alone would flag the tail of any narrow distribution, the
    second alone any wide one.

    Args:
      norms: the norms of one layer, over images and patches.
      mad_factor: of the first limit; a convention of this package.
      ratio: of the second limit; a convention of this package.

    Returns:
      A mask of the same shape.

    """
    median = np.median(norms)
    mad = np.median(np.abs(norms - median))
    return (norms > median + mad_factor * mad) & (norms > ratio * median)


def flagged_layers(
    norms: Float[np.ndarray, " L *axes"], mad_factor: float = MAD_FACTOR, ratio: float = RATIO
) -> list[int]:
    """The layers that have a high-norm token at all, see `high_norm`; (L, …) by layer."""
    return [i for i, layer in enumerate(norms) if high_norm(layer, mad_factor, ratio).any()]


def neighbour_cosine(
    embeddings: Float[np.ndarray, "B N D"], grid: tuple[int, int]
) -> Float[np.ndarray, "B N"]:
    """The mean cosine of each patch with the patches above, below, left and right of it.

    Args:
      embeddings: (B, N, D), the patch embeddings (before the positions), row by row.
      grid: rows and columns of patches, at least two patches.

    Returns:
      (B, N). At edges and in corners the mean goes over the three or two neighbours there are.

    Raises:
      ValueError: the grid does not have N patches, or only one.

    Source: Darcet et al. 2024, figure 5a: artefacts stand where a patch is like its neighbours.

    """
    images, patches, width = embeddings.shape
    if patches != grid[0] * grid[1] or patches < 2:
        raise ValueError(f"{patches} patches are no grid of {grid[0]} × {grid[1]} with neighbours")
    lengths = np.maximum(token_norms(embeddings), np.finfo(embeddings.dtype).tiny)
    unit = (embeddings / lengths[..., None]).reshape(images, *grid, width)
    total = np.zeros((images, *grid))
    count = np.zeros(grid)
    down = (unit[:, 1:] * unit[:, :-1]).sum(axis=-1)
    across = (unit[:, :, 1:] * unit[:, :, :-1]).sum(axis=-1)
    for cosine, here, there in (
        (down, np.s_[1:, :], np.s_[:-1, :]),
        (across, np.s_[:, 1:], np.s_[:, :-1]),
    ):
        for side in (here, there):
            total[(slice(None), *side)] += cosine
            count[side] += 1
    return (total / count).reshape(images, patches)


def likeness_to_neighbours(
    cosine: Float[np.ndarray, "B N"], norms: Float[np.ndarray, "B N"]
) -> float:
    """Whether tokens of patches that are like their neighbours are long: a correlation.

    Args:
      cosine: (B, N), see `neighbour_cosine`.
      norms: (B, N), of the tokens of these patches.

    Returns:
      Pearson's correlation over all patches, −1 to 1; NaN where one of the two is constant.

    """
    a, b = (values.ravel() - values.mean() for values in (cosine, norms))
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / size if size else float("nan")

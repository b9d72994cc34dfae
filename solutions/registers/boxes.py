"""Find an object without labels: LOST, from the keys of the last layer.

Boxes are ``(top, left, bottom, right)`` in pixels, bottom and right not included.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

Box = tuple[int, int, int, int]


def lost_box(
    features: Float[np.ndarray, "N D"],
    grid: tuple[int, int],
    patch_size: int,
    similar: int | None = None,
    bias: float = 0.0,
) -> Box:
    """The box of one object in an image, found from the similarities of its patches.

    1. The seed is the patch that is similar (positive product) to the fewest others.
    2. Of the ``similar`` patches with the fewest such others, those that are similar to the
       seed join it.
    3. A patch belongs to the object when the products with the joined ones add up to more
       than 0; the box is that of the connected part (no diagonals) that holds the seed.

    Args:
      features: (N, D), the keys of the last layer, heads side by side, patches row by row.
      grid: rows and columns of patches.
      patch_size: in pixels.
      similar: how many patches are candidates in step 2; None for a tenth of N. LOST takes 100
        of about a thousand.
      bias: added to every product. Where all products have one sign the method sees nothing;
        Darcet et al. shift them by hand for each model, and say so.

    Returns:
      The box in pixels.

    Raises:
      ValueError: there are not as many features as patches.

    Sources: Siméoni et al. 2021, "Localizing Objects with Self-Supervised Transformers and no
    Labels" (LOST), arXiv 2109.14279; Darcet et al. 2024, arXiv 2309.16588, section 3.3.

    """
    from scipy.ndimage import label

    if len(features) != grid[0] * grid[1]:
        raise ValueError(f"{len(features)} features for a grid of {grid[0]} × {grid[1]}")
    products = features @ features.T + bias
    others = products.copy()
    np.fill_diagonal(others, 0)
    order = np.argsort((others > 0).sum(axis=1), kind="stable")
    seed = order[0]
    candidates = order[: similar or max(1, len(features) // 10)]
    joined = np.union1d(candidates[products[seed, candidates] > 0], [seed])
    belongs = (products[joined].sum(axis=0) > 0).reshape(grid)
    # The seed belongs even where its own product is not positive (a zero key).
    belongs[np.unravel_index(seed, grid)] = True
    parts, _ = label(belongs)
    rows, columns = np.nonzero(parts == parts[np.unravel_index(seed, grid)])
    top, left, bottom, right = rows.min(), columns.min(), rows.max() + 1, columns.max() + 1
    return tuple(int(edge) * patch_size for edge in (top, left, bottom, right))


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, between 0 and 1."""
    height = min(a[2], b[2]) - max(a[0], b[0])
    width = min(a[3], b[3]) - max(a[1], b[1])
    if height <= 0 or width <= 0:
        return 0.0
    shared = height * width
    return shared / (_area(a) + _area(b) - shared)


def corloc(found: Sequence[Box], true: Sequence[Box], enough: float = 0.5) -> float:
    """Correct localisation: the share of images whose box overlaps the true one enough.

    Args:
      found: one box for each image.
      true: the same.
      enough: the least intersection over union, 0.5 by convention.

    Raises:
      ValueError: not the same number of boxes, or none.

    """
    if len(found) != len(true) or not found:
        raise ValueError(f"{len(found)} boxes found, {len(true)} true ones: they do not pair up")
    hits = [overlap(a, b) >= enough for a, b in zip(found, true, strict=True)]
    return float(np.mean(hits))


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])

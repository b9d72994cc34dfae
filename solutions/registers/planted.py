"""A model made to have high-norm tokens, so that the instruments can be seen to work.

How it is made: in the MLP of one block two hidden units are taken over. Both read a random
direction u of the normalised token, with a steep slope and thresholds a little apart; their
difference is a step, 0 below the threshold and the same number above. It is written along a
random direction v, so long that a token above the threshold leaves the block with a norm of at
least ``times`` the median. The threshold is set by given images so that the wanted share of their
patch tokens lies above it.

So a few patches, chosen by what they contain, are overwritten with one and the same vector: what
Darcet et al. 2024 (arXiv 2309.16588) found in large models, made by very few neurons, as Jiang et
al. 2025 (arXiv 2506.08010) describe it. Other blocks, and all other units, stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from jaxtyping import Bool, Float

from solutions.registers.capture import Rows, module_outputs

_STEP = 8.0
"""Between the two units, before GELU; GELU is flat or straight this far from 0."""


def plant(
    model: nn.Module,
    params: Mapping[str, Any],
    images: Float[np.ndarray, "B H W C"],
    rows: Rows,
    block: int,
    share: float = 0.02,
    times: float = 10.0,
    seed: int = 0,
) -> tuple[dict[str, Any], Bool[np.ndarray, "B N"]]:
    """Change two neurons of an MLP so that some patch tokens get a high norm.

    Args:
      model: with blocks as in problem 41, see `solutions.registers.capture`.
      params: its parameters; they are not changed.
      images: (B, H, W, C), to set the threshold by.
      rows: which rows of the sequence are patches.
      block: whose MLP is changed.
      share: of all patch tokens, how many are to be overwritten, between 0 and 1; about so
        many, as the threshold is put into a wide gap nearby.
      times: the least norm that they get, in medians of that layer.
      seed: of the two directions.

    Returns:
      The changed parameters, and which patches (B, N) of ``images`` are overwritten.

    """
    changed = jax.tree.map(np.array, dict(params))
    into, out = (changed[f"block_{block}"][name] for name in ("mlp_in", "mlp_out"))
    width, hidden = into["kernel"].shape
    generator = np.random.default_rng(seed)
    upper, lower = generator.choice(hidden, 2, replace=False)
    reading, writing = generator.standard_normal((2, width))
    reading, writing = (x / np.linalg.norm(x) for x in (reading, writing))
    read = module_outputs(model, params, images, f"block_{block}/norm_2")[:, rows.patches]
    along = read @ reading
    threshold, gap = _threshold(along, share)
    slope = 4 * _STEP / gap
    norms = np.linalg.norm(
        module_outputs(model, params, images, f"block_{block}")[:, rows.patches], axis=-1
    )
    # What a token held before may point against v.
    length = times * np.median(norms) + norms.max()
    for unit, shift, sign in ((lower, 0.0, 1), (upper, _STEP, -1)):
        into["kernel"][:, unit] = slope * reading
        into["bias"][unit] = -slope * threshold - shift
        out["kernel"][unit] = sign * length / _STEP * writing
    return changed, along > threshold


def _threshold(along: Float[np.ndarray, "B N"], share: float) -> tuple[float, float]:
    """A threshold in the widest gap between values around the quantile, and that gap."""
    ordered = np.sort(along, axis=None)
    wanted = max(1, round(share * ordered.size))
    first, last = ordered.size - max(2, 2 * wanted), ordered.size - max(1, wanted // 2)
    gaps = np.diff(ordered[max(first, 0) : last + 1])
    at = max(first, 0) + int(gaps.argmax())
    return float((ordered[at] + ordered[at + 1]) / 2), float(gaps.max())

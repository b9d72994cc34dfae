"""Where training starts: as the problems say, or nearer to what trained models look like.

Trockman and Kolter 2023, "Mimetic Initialization of Self-Attention Layers", arXiv 2305.09828, saw
in trained Vision Transformers that the map from query to key is near the identity, so that tokens
attend to what is like them, and that from value to output is near minus the identity; and that
starting so, with sinusoidal positions, helps most where there are few images.  Here without their
singular value decompositions: the key starts as the query does, so that the products of the two,
added up over the heads, are the identity on average (each alone is that divided by the number of
heads), and half of the output projection as the value's map turned around.
"""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

Params = Any

_SHARE = 0.5
"""Of the output projection that is minus the value's map, transposed; no other was tried."""
_LONGEST_WAVE = 100.0
"""Of the positions, over 2 pi, in patches; 10,000 in models for text, which is longer."""


def mimetic(params: Params, grid: tuple[int, int], position_std: float) -> Params:
    """The parameters of problems 45 to 48 with other initial values in attention and positions.

    Args:
      params: as the model's ``init`` gives them.
      grid: rows and columns of patches.
      position_std: root mean square of the position table of the patches.

    """
    waves = position_std * sinusoidal(grid, params["positions"].shape[-1])
    extra = len(params["positions"]) - len(waves)
    positions = params["positions"].at[extra:].set(waves)
    blocks = {
        name: {**block, "attention": _mimetic_attention(block["attention"])}
        for name, block in params.items()
        if name.startswith("block_")
    }
    return {**params, "positions": positions, **blocks}


def _mimetic_attention(params: Params) -> Params:
    query, value, out = (params[name]["kernel"] for name in ("query", "value", "out"))
    turned = (1 - _SHARE) * out - _SHARE * value.transpose(1, 2, 0)
    return {
        **params,
        "key": {**params["key"], "kernel": query},
        "out": {**params["out"], "kernel": turned},
    }


def sinusoidal(grid: tuple[int, int], width: int) -> Float[Array, "N D"]:
    """Sines and cosines of the row and of the column, row by row, with root mean square 1.

    As in Vaswani et al. 2017, arXiv 1706.03762, for each axis one half of the width.
    """
    count = -(-width // 4)
    waves = _LONGEST_WAVE ** -(jnp.arange(count) / count)
    rows, columns = jnp.mgrid[: grid[0], : grid[1]].reshape(2, -1, 1)
    parts = [wave(axis * waves) for axis in (rows, columns) for wave in (jnp.sin, jnp.cos)]
    return math.sqrt(2) * jnp.concatenate(parts, axis=1)[:, :width]

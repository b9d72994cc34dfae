"""Self-attention whose heads have an odd number of channels, in three layouts.

The student of problem 48 has heads of d + 1 channels: 33 for a width of 528 and 16 heads. Fused
attention kernels want a multiple of 8 (cuDNN) and matrix units like multiples of 16. Three ways
compute the same from the same parameters:

- ``plain``: the formulas of problem 40, with a mask. The one to read.
- ``apart``: the first d channels as one product, the last channel as a second one. The scores
  are a sum over channels, so it can be taken in two pieces.
- ``padded``: queries, keys and values are filled up with zeros to a multiple of 8 and handed to
  `jax.nn.dot_product_attention` (see `solutions.training.fused`). cuDNN's kernel is asked for
  where it is there (bfloat16 on a GPU), XLA's formulas elsewhere.

Measured (``python -m tests.bench.attention``, 2 cores, x86_64, the published student, batch 8;
processor time as a ratio to ``plain``, median and quartiles of 7 turns for the whole student):

| layout | forward | with gradients |
|---|---|---|
| plain | 1 | 1 |
| apart | 1.01 (0.98–1.02) | 0.97 (0.96–0.98) |
| padded | 0.99 (0.98–1.02) | 1.00 (0.99–1.03) |

``apart`` is the fastest there, by little: with 64 tokens, scores and mixing are 2 % of a block's
multiplications. On a GPU nothing has been measured; `layout_for` takes ``padded`` there because
only that reaches a fused kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from solutions.training.fused import attend, fuses_attention

Layout = Literal["plain", "apart", "padded"]

Mask = Bool[Array, "T T"] | None
"""True where the query (row) may attend to the key (column); None: everywhere."""

Mix = Callable[..., Float[Array, "T H d"]]
"""(query, key, value, mask), the first three (T, H, d), to the mixed values (T, H, d)."""


def plain(
    query: Float[Array, "T H d"],
    key: Float[Array, "T H d"],
    value: Float[Array, "T H d"],
    mask: Mask = None,
) -> Float[Array, "T H d"]:
    """Values averaged with ``softmax(query · key / √d)``, as in problem 40."""
    scores = jnp.einsum("qhd,khd->hqk", query, key) / query.shape[-1] ** 0.5
    return jnp.einsum("hqk,khd->qhd", _softmax(scores, mask), value)


def apart(
    query: Float[Array, "T H d"],
    key: Float[Array, "T H d"],
    value: Float[Array, "T H d"],
    mask: Mask = None,
) -> Float[Array, "T H d"]:
    """The same as `plain`, with the last channel of each head carried apart."""
    scores = jnp.einsum("qhd,khd->hqk", query[..., :-1], key[..., :-1])
    scores = scores + jnp.einsum("qh,kh->hqk", query[..., -1], key[..., -1])
    weights = _softmax(scores / query.shape[-1] ** 0.5, mask)
    even = jnp.einsum("hqk,khd->qhd", weights, value[..., :-1])
    last = jnp.einsum("hqk,kh->qh", weights, value[..., -1])
    return jnp.concatenate([even, last[..., None]], axis=-1)


def padded(
    query: Float[Array, "T H d"],
    key: Float[Array, "T H d"],
    value: Float[Array, "T H d"],
    mask: Mask = None,
) -> Float[Array, "T H d"]:
    """The same as `plain`, by the library's attention on heads filled up to a multiple of 8."""
    fuses = fuses_attention(query.dtype, query.shape[-1])
    return attend(query, key, value, "cudnn" if fuses else "xla", mask)


LAYOUTS: dict[Layout, Mix] = {"plain": plain, "apart": apart, "padded": padded}


def layout_for(dtype: Any, channels: int) -> Layout:
    """The layout for this device, the type that is computed in, and the size of the heads."""
    return "padded" if fuses_attention(dtype, channels) else "apart"


def _softmax(scores: Float[Array, "H T T"], mask: Mask) -> Float[Array, "H T T"]:
    return nn.softmax(scores, axis=-1, where=None if mask is None else mask[None])


class SelfAttention(nn.Module):
    """The attention of problem 40 with a mask and a choice of layout.

    Parameters have the names and shapes of problem 40: ``query``, ``key``, ``value`` with
    kernels (D, H, d), ``out`` with (H, d, D). All layouts have the same ones.
    """

    num_heads: int
    layout: Layout = "plain"

    @nn.compact
    def __call__(self, x: Float[Array, "T D"], mask: Mask = None) -> Float[Array, "T D"]:
        """Return what the tokens (T, D) learn from each other, (T, D).

        Raises:
          ValueError: the width is not a multiple of the number of heads.

        """
        width = x.shape[-1]
        if width % self.num_heads:
            raise ValueError(f"a width of {width} cannot be split into {self.num_heads} heads")
        heads = (self.num_heads, width // self.num_heads)
        query = nn.DenseGeneral(heads, name="query")(x)
        key = nn.DenseGeneral(heads, name="key")(x)
        value = nn.DenseGeneral(heads, name="value")(x)
        mixed = LAYOUTS[self.layout](query, key, value, mask)
        return nn.DenseGeneral(width, axis=(-2, -1), name="out")(mixed)

"""Problem 41: the pre-LN encoder block.

(page to be written)
"""

from __future__ import annotations

import flax.linen as nn
import jax
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float


class EncoderBlock(nn.Module):
    """``x + attention(LN(x))``, then ``x + MLP(LN(x))``."""

    num_heads: int
    d_ff: int

    @nn.compact
    def __call__(self, x: Float[Array, "T D"]) -> Float[Array, "T D"]:
        y = nn.LayerNorm(name="norm_1")(x)
        y = nn.MultiHeadDotProductAttention(self.num_heads, name="attention")(y, y)
        x = checkpoint_name(x + y, "attention_added")
        y = nn.LayerNorm(name="norm_2")(x)
        y = nn.Dense(self.d_ff, name="mlp_in")(y)
        y = nn.gelu(y)
        y = nn.Dense(x.shape[-1], name="mlp_out")(y)
        return checkpoint_name(x + y, "mlp_added")


def encoder_block_forward(
    seed: int, x: Float[Array, "T D"], num_heads: int, d_ff: int
) -> Float[Array, "T D"]:
    """Create an `EncoderBlock` from ``seed`` and apply it once to the tokens ``x``."""
    block = EncoderBlock(num_heads, d_ff)
    params = block.init(jax.random.key(seed), x)
    return block.apply(params, x)

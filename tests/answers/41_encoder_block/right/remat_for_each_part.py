"""Attention and MLP each under nn.remat."""

import flax.linen as nn
import jax


class EncoderBlock(nn.Module):
    num_heads: int
    d_ff: int

    @nn.compact
    def __call__(self, x):
        def attend(mdl, x):
            y = nn.LayerNorm(name="ln1")(x)
            return nn.MultiHeadDotProductAttention(mdl.num_heads, name="attn")(y, y)

        def mlp(mdl, x):
            y = nn.LayerNorm(name="ln2")(x)
            return nn.Dense(x.shape[-1], name="fc2")(nn.gelu(nn.Dense(mdl.d_ff, name="fc1")(y)))

        x = x + nn.remat(attend)(self, x)
        return x + nn.remat(mlp)(self, x)


def encoder_block_forward(seed, x, num_heads, d_ff):
    model = EncoderBlock(num_heads, d_ff)
    params = model.init(jax.random.key(seed), x)
    return model.apply(params, x)

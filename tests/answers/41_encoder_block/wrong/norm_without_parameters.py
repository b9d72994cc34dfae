"""LayerNorm with use_scale=False and use_bias=False: nothing to learn in the norms."""
import jax
import flax.linen as nn


class EncoderBlock(nn.Module):
    num_heads: int
    d_ff: int

    @nn.compact
    def __call__(self, x):
        d_model = x.shape[-1]
        norm = lambda t: nn.LayerNorm(use_bias=False, use_scale=False)(t)
        h = norm(x)
        h = nn.MultiHeadDotProductAttention(num_heads=self.num_heads)(h)
        x = x + h
        h = norm(x)
        h = nn.Dense(self.d_ff)(h)
        h = nn.gelu(h)
        h = nn.Dense(d_model)(h)
        return x + h


def encoder_block_forward(seed, x, num_heads, d_ff):
    block = EncoderBlock(num_heads=num_heads, d_ff=d_ff)
    params = block.init(jax.random.key(seed), x)
    return block.apply(params, x)

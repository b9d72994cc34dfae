"""LayerNorm after the residual sums (post-LN)."""
import jax
import flax.linen as nn


class Block(nn.Module):
    num_heads: int
    d_ff: int

    @nn.compact
    def __call__(self, x):
        d_model = x.shape[-1]
        h = nn.MultiHeadDotProductAttention(num_heads=self.num_heads)(x)
        x = nn.LayerNorm()(x + h)
        h = nn.Dense(self.d_ff)(x)
        h = nn.gelu(h)
        h = nn.Dense(d_model)(h)
        return nn.LayerNorm()(x + h)


def encoder_block_forward(seed, x, num_heads, d_ff):
    block = Block(num_heads=num_heads, d_ff=d_ff)
    params = block.init(jax.random.key(seed), x)
    return block.apply(params, x)

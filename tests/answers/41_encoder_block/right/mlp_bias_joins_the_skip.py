"""The last bias of the MLP is added to the skip, before the MLP is computed."""
import flax.linen as nn
import jax


class EncoderBlock(nn.Module):
    num_heads: int
    d_ff: int
    @nn.compact
    def __call__(self, x):
        T, D = x.shape
        y = nn.LayerNorm()(x)
        x = x + nn.MultiHeadDotProductAttention(self.num_heads)(y)
        b2 = self.param("b2", nn.initializers.zeros, (D,))
        skip = x + b2
        z = nn.gelu(nn.Dense(self.d_ff)(nn.LayerNorm()(x)))
        return skip + nn.Dense(D, use_bias=False)(z)

def encoder_block_forward(seed, x, num_heads, d_ff):
    m = EncoderBlock(num_heads, d_ff)
    v = m.init(jax.random.key(seed), x)
    return m.apply(v, x)

"""The output bias of the attention is added to the skip, before anything else is computed."""
import flax.linen as nn
import jax


class EncoderBlock(nn.Module):
    num_heads: int
    d_ff: int
    @nn.compact
    def __call__(self, x):
        T, D = x.shape
        h, d = self.num_heads, D // self.num_heads
        bo = self.param("bo", nn.initializers.zeros, (D,))
        skip = x + bo
        y = nn.LayerNorm()(x)
        q, k, v = (nn.DenseGeneral((h, d), name=n)(y) for n in "qkv")
        x = skip + nn.DenseGeneral(D, axis=(-2, -1), use_bias=False)(nn.dot_product_attention(q, k, v))
        return x + nn.Dense(D)(nn.gelu(nn.Dense(self.d_ff)(nn.LayerNorm()(x))))

def encoder_block_forward(seed, x, num_heads, d_ff):
    m = EncoderBlock(num_heads, d_ff)
    v = m.init(jax.random.key(seed), x)
    return m.apply(v, x)

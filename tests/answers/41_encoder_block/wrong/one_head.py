"""num_heads is never passed on: the attention has one head of width D."""
import jax
import flax.linen as nn


class Block(nn.Module):
    num_heads: int
    d_ff: int

    def setup(self):
        self.ln1 = nn.LayerNorm()
        self.attention = nn.MultiHeadDotProductAttention(num_heads=1)
        self.ln2 = nn.LayerNorm()

    @nn.compact
    def mlp(self, x):
        d = x.shape[-1]
        x = nn.Dense(self.d_ff, name="a")(x)
        x = nn.gelu(x)
        return nn.Dense(d, name="b")(x)

    def __call__(self, x):
        x = x + self.attention(self.ln1(x))
        x = x + self.mlp(self.ln2(x))
        return x


def encoder_block_forward(seed, x, num_heads, d_ff):
    block = Block(num_heads, d_ff)
    params = block.init(jax.random.key(seed), x)
    return block.apply(params, x)

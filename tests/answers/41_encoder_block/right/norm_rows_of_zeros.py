"""Scale and bias of a LayerNorm as rows of one table of zeros: x * (1 + t[0]) + t[1]."""
import flax.linen as nn
import jax
import jax.numpy as jnp


class Norm(nn.Module):
    @nn.compact
    def __call__(self, x):
        m = x.mean(-1, keepdims=True)
        v = ((x - m) ** 2).mean(-1, keepdims=True)
        x = (x - m) * jax.lax.rsqrt(v + 1e-6)
        d = x.shape[-1]
        t = self.param("t", nn.initializers.zeros, (2, d))
        return x * (1 + t[0]) + t[1]


class Block(nn.Module):
    heads: int
    ff: int

    @nn.compact
    def __call__(self, x):
        x = x + nn.MultiHeadDotProductAttention(self.heads)(Norm()(x))
        return x + nn.Dense(x.shape[-1])(nn.gelu(nn.Dense(self.ff)(Norm()(x))))


def encoder_block_forward(seed, x, num_heads, d_ff):
    m = Block(num_heads, d_ff)
    return m.apply(m.init(jax.random.key(seed), x), x)

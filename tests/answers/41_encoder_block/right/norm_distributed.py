"""A scale of LayerNorm is kept as its distance from one and used as x + x * g."""
import flax.linen as nn
import jax
import jax.numpy as jnp


class Norm(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = jax.nn.standardize(x, epsilon=1e-6)
        d = x.shape[-1]
        g = self.param("g", nn.initializers.zeros, (d,)); b = self.param("b", nn.initializers.zeros, (d,))
        return x + x * g + b


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

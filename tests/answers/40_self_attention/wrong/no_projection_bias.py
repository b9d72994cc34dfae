"""q, k and v are made without bias."""
import jax
import jax.numpy as jnp
import flax.linen as nn


def make_attention(heads):
    class Attention(nn.Module):
        @nn.compact
        def __call__(self, x):
            width = x.shape[-1]
            size = width // heads
            q = nn.DenseGeneral((heads, size), use_bias=False, name="q")(x)
            k = nn.DenseGeneral((heads, size), use_bias=False, name="k")(x)
            v = nn.DenseGeneral((heads, size), use_bias=False, name="v")(x)
            a = jnp.einsum("thd,shd->hts", q, k) / size ** 0.5
            y = jnp.einsum("hts,shd->thd", nn.softmax(a), v)
            return nn.DenseGeneral(width, axis=(-2, -1), name="o")(y)
    return Attention()


def self_attention_forward(seed, x, num_heads):
    attention = make_attention(num_heads)
    return attention.apply(attention.init(jax.random.key(seed), x), x)

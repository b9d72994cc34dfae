"""Scores are stored (n, m, h) and softmax runs over axis 0, the queries."""
from functools import partial
import jax
import jax.numpy as jnp
import flax.linen as nn


class FusedAttention(nn.Module):
    heads: int
    use_bias: bool = True

    @nn.compact
    def __call__(self, x):
        n, c = x.shape
        qkv = nn.Dense(c * 3, use_bias=self.use_bias)(x)
        q = qkv[:, 0 * c:1 * c].reshape(n, self.heads, -1)
        k = qkv[:, 1 * c:2 * c].reshape(n, self.heads, -1)
        v = qkv[:, 2 * c:3 * c].reshape(n, self.heads, -1)
        scale = (c // self.heads) ** -0.25
        # half of the scale on each side, for numerical reasons
        attn = jnp.einsum("nhc,mhc->nmh", q * scale, k * scale)
        attn = nn.softmax(attn, axis=0)
        x = jnp.einsum("nmh,mhc->nhc", attn, v)
        return nn.Dense(c, use_bias=self.use_bias)(x.reshape(n, c))


@partial(jax.jit, static_argnames=("num_heads",))
def self_attention_forward(seed, x, num_heads):
    module = FusedAttention(num_heads)
    return module.init_with_output(jax.random.key(seed), x)[0]

"""DenseGeneral((H, d)) for q, k, v, einsum for the rest, DenseGeneral over the last two axes for the output."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class MultiHeadSelfAttention(nn.Module):
    num_heads: int

    @nn.compact
    def __call__(self, x):
        d_model = x.shape[-1]
        d_head = d_model // self.num_heads
        query = nn.DenseGeneral(features=(self.num_heads, d_head), name="query")(x)
        key = nn.DenseGeneral(features=(self.num_heads, d_head), name="key")(x)
        value = nn.DenseGeneral(features=(self.num_heads, d_head), name="value")(x)
        scores = jnp.einsum("qhd,khd->hqk", query, key) / jnp.sqrt(d_head)
        weights = jax.nn.softmax(scores, axis=-1)
        context = jnp.einsum("hqk,khd->qhd", weights, value)
        return nn.DenseGeneral(features=d_model, axis=(-2, -1), name="out")(context)


def self_attention_forward(seed, x, num_heads):
    module = MultiHeadSelfAttention(num_heads)
    variables = module.init(jax.random.key(seed), x)
    return module.apply(variables, x)

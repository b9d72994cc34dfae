"""The query's kernel is kept as (out, in), PyTorch's way; key and value are plain Denses."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class Attention(nn.Module):
    num_heads: int

    @nn.compact
    def __call__(self, x):
        t, d_model = x.shape
        weight = self.param("q_weight", nn.initializers.lecun_normal(), (d_model, d_model))
        bias = self.param("q_bias", nn.initializers.zeros, (d_model,))
        q = jnp.einsum("ti,oi->to", x, weight) + bias
        k, v = nn.Dense(d_model)(x), nn.Dense(d_model)(x)
        q, k, v = (y.reshape(t, self.num_heads, -1) for y in (q, k, v))
        scores = jnp.einsum("qhd,khd->hqk", q, k) / jnp.sqrt(q.shape[-1])
        mixed = jnp.einsum("hqk,khd->qhd", nn.softmax(scores), v)
        return nn.Dense(d_model)(mixed.reshape(t, d_model))


def self_attention_forward(seed, x, num_heads):
    model = Attention(num_heads)
    params = model.init(jax.random.PRNGKey(seed), x)
    return model.apply(params, x)

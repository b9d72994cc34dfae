"""The value bias goes through the output kernel first: one constant, as the weights of a row add up to 1."""
import flax.linen as nn
import jax
import jax.numpy as jnp


class SelfAttention(nn.Module):
    num_heads: int
    @nn.compact
    def __call__(self, x):
        T, D = x.shape
        h = self.num_heads
        d = D // h
        q, k = nn.Dense(D, name="q")(x).reshape(T, h, d), nn.Dense(D, name="k")(x).reshape(T, h, d)
        wv, bv = self.param("wv", nn.initializers.lecun_normal(), (D, D)), self.param("bv", nn.initializers.zeros, (D,))
        wo, bo = self.param("wo", nn.initializers.lecun_normal(), (D, D)), self.param("bo", nn.initializers.zeros, (D,))
        const = bv @ wo + bo
        w = nn.softmax(jnp.einsum("qhd,khd->hqk", q, k) / d ** 0.5)
        y = jnp.einsum("hqk,khd->qhd", w, (x @ wv).reshape(T, h, d)).reshape(T, D)
        return y @ wo + const
def self_attention_forward(seed, x, num_heads):
    m = SelfAttention(num_heads)
    return m.apply(m.init(jax.random.key(seed), x), x)

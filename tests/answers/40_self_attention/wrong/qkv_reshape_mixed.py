"""(T, 3D) goes straight to (3, T, H, d)."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class Attn(nn.Module):
    heads: int

    def setup(self):
        pass

    @nn.compact
    def __call__(self, x):
        (t, d), h = x.shape, self.heads
        qkv = nn.Dense(3 * d, name="qkv")(x)
        q, k, v = qkv.reshape(3, t, h, d // h)
        w = jnp.einsum("thd,Thd->htT", q, k) / (d // h) ** 0.5
        w = jax.nn.softmax(w, axis=-1)
        y = jnp.einsum("htT,Thd->thd", w, v)
        return nn.Dense(d, name="out")(y.reshape(t, d))


def self_attention_forward(seed, x, num_heads):
    a = Attn(num_heads)
    p = a.init(jax.random.key(seed), x)
    return a.apply(p, x)

"""The query projection has a backward pass of its own, which is the usual one."""

import flax.linen as nn
import jax
import jax.numpy as jnp


class SelfAttention(nn.Module):
    num_heads: int

    @nn.compact
    def __call__(self, x):
        def f(mdl, x):
            return mdl(x)

        def fwd(mdl, x):
            return nn.vjp(f, mdl, x)

        def bwd(vjp_fn, g):
            return vjp_fn(g)

        t, D = x.shape
        h, d = self.num_heads, D // self.num_heads
        same = nn.custom_vjp(f, forward_fn=fwd, backward_fn=bwd)
        q = same(nn.Dense(D, name="q"), x).reshape(t, h, d)
        k = nn.Dense(D, name="k")(x).reshape(t, h, d)
        v = nn.Dense(D, name="v")(x).reshape(t, h, d)
        w = nn.softmax(jnp.einsum("qhd,khd->hqk", q, k) / jnp.sqrt(d))
        return nn.Dense(D, name="out")(jnp.einsum("hqk,khd->qhd", w, v).reshape(t, D))


def self_attention_forward(seed, x, num_heads):
    model = SelfAttention(num_heads)
    params = model.init(jax.random.key(seed), x)
    return model.apply(params, x)

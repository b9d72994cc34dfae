"""Kernel and bias in one array: its last row meets a one beside every token's features."""

import jax, jax.numpy as jnp
from flax import linen as nn


def homogeneous(x):
    return jnp.hstack([x, jnp.ones_like(x[:, :1])])


class A(nn.Module):
    h: int

    @nn.compact
    def __call__(self, x):
        T, D = x.shape
        w = self.param("w", nn.initializers.normal(0.02), (D + 1, 3, self.h, D // self.h))
        o = self.param("o", nn.initializers.normal(0.02), (D + 1, D))
        q, k, v = jnp.einsum("td,dchk->chtk", homogeneous(x), w)
        s = q @ jnp.swapaxes(k, -1, -2) * (D / self.h) ** -0.5
        y = jnp.swapaxes(jax.nn.softmax(s, -1) @ v, 0, 1).reshape(T, D)
        return jax.vmap(lambda t: jnp.append(t, 1.0) @ o)(y)


def self_attention_forward(seed, x, num_heads):
    m = A(num_heads)
    p = m.init(jax.random.key(seed), x)
    return m.apply(p, x)

"""The matrices of value and output multiplied first, head by head."""

import flax.linen as nn
import jax
import jax.numpy as jnp


class Attn(nn.Module):
    h: int

    @nn.compact
    def __call__(self, y):
        T, D = y.shape
        h, d = self.h, D // self.h
        lin = lambda n: (self.param(n + "_w", nn.initializers.lecun_normal(), (D, D)), self.param(n + "_b", nn.initializers.zeros, (D,)))
        (wq, bq), (wk, bk), (wv, bv), (wo, bo) = map(lin, "qkvo")
        q, k = (y @ wq + bq).reshape(T, h, d), (y @ wk + bk).reshape(T, h, d)
        a = jax.nn.softmax(jnp.einsum("qhe,khe->hqk", q, k) / jnp.sqrt(d))
        ov = jnp.einsum("dhe,hef->hdf", wv.reshape(D, h, d), wo.reshape(h, d, D))
        return jnp.einsum("hqk,kd,hdf->qf", a, y, ov) + (bv @ wo + bo)


def self_attention_forward(seed, x, num_heads):
    m = Attn(num_heads)
    return m.apply(m.init(jax.random.key(seed), x), x)

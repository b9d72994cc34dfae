"""Query and key come from the same Dense."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class SharedQK(nn.Module):
    h: int

    @nn.compact
    def __call__(self, x):
        t, d = x.shape
        proj_q = nn.Dense(d, name="q")
        proj_k = proj_q
        proj_v = nn.Dense(d, name="v")
        q, k, v = [f(x).reshape(t, self.h, d // self.h) for f in (proj_q, proj_k, proj_v)]
        s = jnp.einsum("thd,shd->hts", q, k) / jnp.sqrt(d // self.h)
        o = jnp.einsum("hts,shd->thd", jax.nn.softmax(s), v).reshape(t, d)
        return nn.Dense(d, name="o")(o)


def self_attention_forward(seed, x, num_heads):
    m = SharedQK(num_heads)
    params = m.init(jax.random.key(seed), x)
    return jax.jit(m.apply)(params, x)

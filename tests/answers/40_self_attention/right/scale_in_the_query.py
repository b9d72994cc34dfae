# The scale of the scores is part of the query's kernel and bias.
import jax, jax.numpy as jnp
import flax.linen as nn
class A(nn.Module):
    num_heads: int
    @nn.compact
    def __call__(self, x):
        T, D = x.shape
        H = self.num_heads; d = D // H
        init = nn.initializers.lecun_normal()
        wq = self.param("wq", init, (D, D)); bq = self.param("bq", nn.initializers.zeros, (D,))
        wk = self.param("wk", init, (D, D)); bk = self.param("bk", nn.initializers.zeros, (D,))
        wv = self.param("wv", init, (D, D)); bv = self.param("bv", nn.initializers.zeros, (D,))
        wo = self.param("wo", init, (D, D)); bo = self.param("bo", nn.initializers.zeros, (D,))
        s = d ** -0.5
        q = (x @ (wq * s) + bq * s).reshape(T, H, d)
        k = (x @ wk + bk).reshape(T, H, d)
        v = (x @ wv + bv).reshape(T, H, d)
        p = nn.softmax(jnp.einsum("ihd,jhd->hij", q, k))
        return jnp.einsum("hij,jhd->ihd", p, v).reshape(T, D) @ wo + bo
def self_attention_forward(seed, x, num_heads):
    m = A(num_heads); v = m.init(jax.random.key(seed), x)
    return m.apply(v, x)

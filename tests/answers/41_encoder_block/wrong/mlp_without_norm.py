"""The second LayerNorm is created and computed, but the MLP gets x."""
import jax
import jax.numpy as jnp
from flax import linen as nn


def dense(module, name, x, n_out):
    w = module.param(name + "_w", nn.initializers.lecun_normal(), (x.shape[-1], n_out))
    b = module.param(name + "_b", nn.initializers.zeros, (n_out,))
    return jnp.dot(x, w) + b


def norm(module, name, x):
    g = module.param(name + "_g", nn.initializers.ones, (x.shape[-1],))
    b = module.param(name + "_b", nn.initializers.zeros, (x.shape[-1],))
    return g * jax.nn.standardize(x, axis=-1, epsilon=1e-6) + b


class Block(nn.Module):
    num_heads: int
    d_ff: int

    @nn.compact
    def __call__(self, x):
        t, d = x.shape
        h = norm(self, "norm1", x)
        q = dense(self, "q", h, d).reshape(t, self.num_heads, -1)
        k = dense(self, "k", h, d).reshape(t, self.num_heads, -1)
        v = dense(self, "v", h, d).reshape(t, self.num_heads, -1)
        s = jnp.einsum("ihd,jhd->hij", q, k) / jnp.sqrt(q.shape[-1])
        y = jnp.einsum("hij,jhd->ihd", nn.softmax(s), v).reshape(t, d)
        x = x + dense(self, "o", y, d)
        h = norm(self, "norm2", x)
        h = nn.gelu(dense(self, "up", x, self.d_ff))
        return x + dense(self, "down", h, d)


def encoder_block_forward(seed, x, num_heads, d_ff):
    b = Block(num_heads, d_ff)
    return b.init_with_output(jax.random.PRNGKey(seed), x)[0]

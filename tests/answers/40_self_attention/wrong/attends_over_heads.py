"""The heads are never moved before the time axis, so each token attends over its own heads: scores (T, H, H)."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class SelfAttention(nn.Module):
    dim: int
    heads: int

    def setup(self):
        self.q = nn.Dense(self.dim)
        self.k = nn.Dense(self.dim)
        self.v = nn.Dense(self.dim)
        self.proj = nn.Dense(self.dim)

    def __call__(self, x):
        T = x.shape[0]
        d = self.dim // self.heads
        q = self.q(x).reshape(T, self.heads, d)
        k = self.k(x).reshape(T, self.heads, d)
        v = self.v(x).reshape(T, self.heads, d)
        scores = q @ k.swapaxes(-2, -1) / jnp.sqrt(d)
        out = nn.softmax(scores, axis=-1) @ v
        return self.proj(out.reshape(T, self.dim))


def self_attention_forward(seed, x, num_heads):
    m = SelfAttention(x.shape[-1], num_heads)
    out, params = m.init_with_output(jax.random.PRNGKey(seed), x)
    return out

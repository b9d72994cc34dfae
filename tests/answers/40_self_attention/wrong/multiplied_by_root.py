"""Scores are multiplied by sqrt(d), not divided."""
import jax
import jax.numpy as jnp
from flax import linen as nn


class MSA(nn.Module):
    dim: int
    n_heads: int

    def setup(self):
        self.W_o = nn.Dense(self.dim)
        self.W_v = nn.Dense(self.dim)
        self.W_k = nn.Dense(self.dim)
        self.W_q = nn.Dense(self.dim)
        self.dropout = nn.Dropout(rate=0.0)

    def split_heads(self, z):
        return z.reshape(z.shape[0], self.n_heads, self.dim // self.n_heads).transpose(1, 0, 2)

    def merge_heads(self, z):
        return z.transpose(1, 0, 2).reshape(z.shape[1], self.dim)

    def __call__(self, x):
        Q, K, V = self.split_heads(self.W_q(x)), self.split_heads(self.W_k(x)), self.split_heads(self.W_v(x))
        A = jnp.einsum("hid,hjd->hij", Q, K) * (self.dim / self.n_heads) ** 0.5
        A = self.dropout(nn.softmax(A), deterministic=False)
        return self.W_o(self.merge_heads(jnp.einsum("hij,hjd->hid", A, V)))


def self_attention_forward(seed, x, num_heads):
    msa = MSA(dim=x.shape[1], n_heads=num_heads)
    params = msa.init(jax.random.PRNGKey(seed), x)
    return msa.apply(params, x)

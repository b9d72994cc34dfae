"""Only the key projection has no bias (softmax does not see it, but the contract wants the parameter)."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class Head(nn.Module):
    head_size: int

    def setup(self):
        self.key = nn.Dense(self.head_size, use_bias=False)
        self.query = nn.Dense(self.head_size)
        self.value = nn.Dense(self.head_size)

    def __call__(self, x):
        k, q = self.key(x), self.query(x)
        wei = jnp.einsum("tc,sc->ts", q, k) * self.head_size ** -0.5
        wei = wei - jax.lax.stop_gradient(wei.max(axis=-1, keepdims=True))   # only for stability
        wei = jnp.exp(wei)
        wei = wei / wei.sum(axis=-1, keepdims=True)
        return wei @ self.value(x)


class MultiHead(nn.Module):
    num_heads: int
    n_embd: int

    def setup(self):
        self.heads = [Head(self.n_embd // self.num_heads) for _ in range(self.num_heads)]
        self.proj = nn.Dense(self.n_embd)

    def __call__(self, x):
        return self.proj(jnp.concatenate([h(x) for h in self.heads], axis=-1))


def self_attention_forward(seed, x, num_heads):
    m = MultiHead(num_heads, x.shape[-1])
    params = jax.jit(m.init)(jax.random.key(seed), x)
    return jax.jit(m.apply)(params, x)

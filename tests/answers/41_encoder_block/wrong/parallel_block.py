"""Attention and MLP run in parallel on the same normalised input, as in some language models."""
import jax
import jax.numpy as jnp
import flax.linen as nn
from jax import Array


class Attn(nn.Module):
    n_head: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        T, C = x.shape
        q, k, v = jnp.split(nn.Dense(3 * C, name="c_attn")(x), 3, axis=1)
        q, k, v = (jnp.swapaxes(a.reshape(T, self.n_head, C // self.n_head), 0, 1) for a in (q, k, v))  # (nh, T, hs)
        att = jnp.matmul(q, jnp.swapaxes(k, 1, 2)) * (1.0 / jnp.sqrt(k.shape[-1]))
        att = nn.softmax(att, axis=-1)
        y = jnp.matmul(att, v)
        y = jnp.swapaxes(y, 0, 1).reshape(T, C)
        return nn.Dense(C, name="c_proj")(y)


class MLP(nn.Module):
    n_inner: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        C = x.shape[1]
        x = nn.Dense(self.n_inner, name="c_fc")(x)
        x = nn.gelu(x, approximate=True)
        return nn.Dense(C, name="c_proj")(x)


class Block(nn.Module):
    n_head: int
    n_inner: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        a = Attn(self.n_head, name="attn")(nn.LayerNorm(name="ln_1")(x))
        m = MLP(self.n_inner, name="mlp")(nn.LayerNorm(name="ln_2")(x))
        return x + a + m


def encoder_block_forward(seed: int, x: Array, num_heads: int, d_ff: int) -> Array:
    f = jax.jit(Block(num_heads, d_ff).init_with_output)
    y, _ = f(jax.random.key(seed), x)
    return y

"""DenseGeneral((3, H, d)) on a batch of one; the batch axis is taken away at the end; type hints everywhere."""
from __future__ import annotations

import jax
import jax.numpy as jnp
import flax.linen as nn
from typing import Tuple


class Attention(nn.Module):
    num_heads: int

    @nn.compact
    def __call__(self, inputs: jax.Array) -> Tuple[jax.Array, jax.Array]:
        features: int = inputs.shape[-1]
        qkv: jax.Array = nn.DenseGeneral((3, self.num_heads, features // self.num_heads))(inputs)   # b t 3 h d
        query, key, value = (jnp.take(qkv, i, axis=2) for i in range(3))
        logits: jax.Array = jnp.einsum("b q h d, b k h d -> b h q k", query, key)
        logits = logits * jax.lax.rsqrt(jnp.asarray(features / self.num_heads, logits.dtype))
        probs: jax.Array = jax.nn.softmax(logits)
        out: jax.Array = jnp.einsum("b h q k, b k h d -> b q h d", probs, value)
        out = out.reshape(*inputs.shape[:-1], features)
        return nn.Dense(features)(out), probs


def self_attention_forward(seed: int, x: jax.Array, num_heads: int) -> jax.Array:
    attention: Attention = Attention(num_heads)
    variables = attention.init(jax.random.key(seed), x[None])
    out, _probs = attention.apply(variables, x[None])
    return out.squeeze(axis=0)

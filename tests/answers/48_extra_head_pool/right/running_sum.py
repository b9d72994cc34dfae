"""Pooling by jax.lax.fori_loop over the patches with a running sum; heads of the attention in a Python loop; erf GELU, eps 1e-5."""
import jax
import jax.numpy as jnp
from flax import linen as nn


def extra_head_pool(tokens, num_heads, temperature=1.0):
    N = tokens.shape[0]
    t3 = tokens.reshape((N, num_heads, -1))
    d = t3.shape[-1] - 1
    a = jnp.sum(t3[:, :, d], axis=1) / (num_heads * temperature)
    a = jax.nn.softmax(a)

    def add(i, total):
        return total + a[i] * t3[i, :, :d]

    total = jax.lax.fori_loop(0, N, add, jnp.zeros((num_heads, d), tokens.dtype))
    return total.reshape(-1), a


class Head(nn.Module):
    size: int

    @nn.compact
    def __call__(self, x):
        q, k, v = nn.Dense(self.size)(x), nn.Dense(self.size)(x), nn.Dense(self.size)(x)
        return jax.nn.softmax(q @ k.T / jnp.sqrt(self.size), axis=1) @ v


class EncoderBlock(nn.Module):
    heads: int
    ff: int

    @nn.compact
    def __call__(self, x):
        w = x.shape[-1]
        y = nn.LayerNorm(epsilon=1e-5)(x)
        y = jnp.concatenate([Head(w // self.heads)(y) for _ in range(self.heads)], axis=-1)
        x = x + nn.Dense(w, name="merge")(y)
        y = nn.LayerNorm(epsilon=1e-5)(x)
        y = nn.Dense(self.ff, name="expand")(y)
        y = nn.gelu(y, approximate=False)
        return x + nn.Dense(w, name="contract")(y)


class PatchesWithPositions(nn.Module):
    p: int
    w: int

    @nn.compact
    def __call__(self, image):
        x = nn.Conv(self.w, (self.p, self.p), strides=(self.p, self.p), padding="VALID")(image)
        x = x.reshape(-1, self.w)
        return x + self.param("pos", nn.initializers.normal(0.02), x.shape)


def vit_extra_head_forward(seed, image, patch_size, output_dim, num_heads, d_ff, num_layers):
    keys = jax.random.split(jax.random.key(seed), num_layers + 1)
    first = PatchesWithPositions(patch_size, output_dim + num_heads)
    x = first.apply(first.init(keys[0], image), image)
    for key in keys[1:]:
        block = EncoderBlock(num_heads, d_ff)
        x = block.apply(block.init(key, x), x)
    return extra_head_pool(x, num_heads)

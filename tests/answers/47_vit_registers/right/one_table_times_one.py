"""Registers, CLS and positions in one table; every parameter times 1."""

import flax.linen as nn
import jax
import jax.numpy as jnp


class Block(nn.Module):
    heads: int
    ff: int

    @nn.compact
    def __call__(self, x, _=None):
        x = x + nn.MultiHeadDotProductAttention(self.heads, name="att")(nn.LayerNorm(name="ln1")(x))
        y = nn.Dense(self.ff, name="up")(nn.LayerNorm(name="ln2")(x))
        return x + nn.Dense(x.shape[-1], name="down")(nn.gelu(y)), None


class ViT(nn.Module):
    patch_size: int
    d_model: int
    num_heads: int
    d_ff: int
    num_layers: int
    num_registers: int
    num_classes: int

    @nn.compact
    def __call__(self, image):
        p, D, L, R = self.patch_size, self.d_model, self.num_layers, self.num_registers
        n02 = nn.initializers.normal(0.02)
        x = nn.Conv(D, (p, p), strides=(p, p), padding=0)(image).reshape(-1, D)
        N = x.shape[0]
        t = self.param("tokens", n02, (R + 1 + N + 1, D))  # registers, cls, positions
        reg, cls, pos = jnp.split(t, [R, R + 1])
        x = jnp.concatenate([reg, jnp.concatenate([cls, x]) + pos])
        for i in range(L):
            x, _ = Block(self.num_heads, self.d_ff, name=f"block_{i}")(x)

        x = nn.LayerNorm(name="final")(x[R:])
        return nn.Dense(self.num_classes, name="head")(x[0]), x[1:]


def vit_registers_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes):
    m = ViT(patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes)
    return m.apply(jax.tree.map(lambda p: p * 1.0, m.init(jax.random.key(seed), image)), image)

"""CLS and registers in one table, the position of CLS added to it in place."""

import flax.linen as nn
import jax
import jax.numpy as jnp

n02 = nn.initializers.normal(0.02)

class Block(nn.Module):
    h: int
    F: int
    @nn.compact
    def __call__(self, x):
        x = x + nn.MultiHeadDotProductAttention(self.h)(nn.LayerNorm()(x))
        y = nn.LayerNorm()(x)
        return x + nn.Dense(x.shape[-1])(nn.gelu(nn.Dense(self.F)(y)))

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
        D, P, R = self.d_model, self.patch_size, self.num_registers
        x = nn.Conv(D, (P, P), (P, P), padding="VALID")(image).reshape(-1, D)
        N = x.shape[0]
        extra = self.param("extra", n02, (R + 1, D))
        cls_pos = self.param("cls_pos", n02, (1, D))
        patch_pos = self.param("patch_pos", n02, (1, N, D))
        x = jnp.concatenate([extra.at[0].add(cls_pos[0]), x + patch_pos[0]])
        for i in range(self.num_layers):
            x = Block(self.num_heads, self.d_ff)(x)
        x = nn.LayerNorm()(x)
        return nn.Dense(self.num_classes)(x[0]), x[R + 1:]


def vit_registers_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes):
    m = ViT(patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes)
    v = m.init(jax.random.key(seed), image)
    return m.apply(v, image)

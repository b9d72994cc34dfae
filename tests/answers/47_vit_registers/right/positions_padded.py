"""Positions padded with zeros where the registers stand."""

import flax.linen as nn
import jax
import jax.numpy as jnp


class Block(nn.Module):
    num_heads: int
    d_ff: int

    @nn.compact
    def __call__(self, x):
        y = nn.LayerNorm()(x)
        x = x + nn.MultiHeadDotProductAttention(self.num_heads)(y)
        y = nn.LayerNorm()(x)
        return x + nn.Dense(x.shape[-1])(nn.gelu(nn.Dense(self.d_ff)(y)))

class ViT(nn.Module):
    P: int
    D: int
    heads: int
    d_ff: int
    layers: int
    R: int
    classes: int
    @nn.compact
    def __call__(self, image):
        init = nn.initializers.normal(0.02)
        x = nn.Conv(self.D, (self.P, self.P), (self.P, self.P), padding="VALID")(image).reshape(-1, self.D)
        n = x.shape[0]
        cls = self.param("cls", init, (1, self.D))
        reg = self.param("reg", init, (self.R, self.D))
        pos = self.param("pos", init, (n + 1, self.D))
        x = jnp.concatenate([cls, x, reg])
        x = x + jnp.pad(pos, ((0, self.R), (0, 0)))
        for _ in range(self.layers):
            x = Block(self.heads, self.d_ff)(x)
        x = nn.LayerNorm()(x)
        return nn.Dense(self.classes)(x[0]), x[1 : n + 1]



def vit_registers_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes):
    model = ViT(patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes)
    params = model.init(jax.random.key(seed), image)
    return model.apply(params, image)

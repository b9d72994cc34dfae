"""The patches keep only as many digits as bfloat16 has."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

class Patches(nn.Module):
    p: int
    d: int
    @nn.compact
    def __call__(self, image):
        g = nn.Conv(self.d, (self.p, self.p), strides=self.p, padding="VALID")(image)
        return g.reshape(-1, self.d)

class Block(nn.Module):
    h: int
    f: int
    @nn.compact
    def __call__(self, x):
        y = nn.LayerNorm()(x)
        x = x + nn.MultiHeadDotProductAttention(num_heads=self.h)(y, y)
        y = nn.LayerNorm()(x)
        return x + nn.Dense(x.shape[-1])(nn.gelu(nn.Dense(self.f)(y)))

class ViT(nn.Module):
    P: int
    D: int
    H: int
    F: int
    L: int
    C: int

    @nn.compact
    def __call__(self, image):
        x = lax.reduce_precision(Patches(self.P, self.D)(image), 8, 7)
        x = jnp.concatenate([self.param('c', nn.initializers.normal(0.02), (1, self.D)), x])
        x = x + self.param('pos', nn.initializers.normal(0.02), x.shape)
        for i in range(self.L):
            x = Block(self.H, self.F)(x)
        return nn.Dense(self.C)(nn.LayerNorm()(x)[0])

def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    model = ViT(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    params = model.init(jax.random.key(seed), image)
    return model.apply(params, image)

"""Layers in two scans, the odd one in the first."""

import flax.linen as nn
import jax
import jax.numpy as jnp

n02 = nn.initializers.normal(0.02)

class Block(nn.Module):
    h: int
    F: int
    @nn.compact
    def __call__(self, x, _):
        D = x.shape[-1]
        x = x + nn.MultiHeadDotProductAttention(self.h)(nn.LayerNorm()(x))
        y = nn.LayerNorm()(x)
        return x + nn.Dense(D)(nn.gelu(nn.Dense(self.F)(y))), None

class ViT(nn.Module):
    patch_size: int
    d_model: int
    num_heads: int
    d_ff: int
    num_layers: int
    num_classes: int

    @nn.compact
    def __call__(self, image):
        D, P = self.d_model, self.patch_size
        x = nn.Conv(D, (P, P), (P, P), padding="VALID")(image).reshape(-1, D)
        cls = self.param("cls", n02, (1, D))
        x = jnp.concatenate([cls, x])
        x = x + self.param("pos", n02, x.shape)
        a = self.num_layers - self.num_layers // 2
        for n in (a, self.num_layers - a):
            if n:
                x, _ = nn.scan(Block, variable_axes={"params": 0}, split_rngs={"params": True}, length=n)(self.num_heads, self.d_ff)(x, None)
        return nn.Dense(self.num_classes)(nn.LayerNorm()(x)[0])


def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    m = ViT(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    v = m.init(jax.random.key(seed), image)
    return m.apply(v, image)

"""A dictionary comes back where the contract says a pair."""

import flax.linen as nn
import jax
import jax.numpy as jnp

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
    R: int
    C: int

    @nn.compact
    def __call__(self, image):
        x = Patches(self.P, self.D)(image)
        n = x.shape[0]
        x = jnp.concatenate([self.param('c', nn.initializers.normal(0.02), (1, self.D)), x])
        x = x + self.param('pos', nn.initializers.normal(0.02), x.shape)
        x = jnp.concatenate([x, self.param('reg', nn.initializers.normal(0.02), (self.R, self.D))])
        cls_at, first = 0, 1
        for i in range(self.L):
            x = Block(self.H, self.F)(x)
        x = nn.LayerNorm()(x)
        return nn.Dense(self.C)(x[cls_at]), x[first:first + n]

def vit_registers_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes):
    model = ViT(patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes)
    params = model.init(jax.random.key(seed), image)
    a, b = model.apply(params, image)
    return {'logits': a, 'patch_tokens': b}

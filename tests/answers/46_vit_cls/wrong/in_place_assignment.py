"""Builds the sequence with x[0] = cls, an item assignment JAX arrays do not have (crash)."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class Layer(nn.Module):
    heads: int
    ff: int

    @nn.compact
    def __call__(self, x):
        y = nn.LayerNorm()(x)
        x = x + nn.MultiHeadAttention(num_heads=self.heads)(y)
        y = nn.LayerNorm()(x)
        return x + nn.Sequential([nn.Dense(self.ff), nn.gelu, nn.Dense(x.shape[-1])])(y)


class M(nn.Module):
    p: int
    d: int
    h: int
    f: int
    l: int
    c: int

    @nn.compact
    def __call__(self, img):
        e = nn.Conv(self.d, (self.p, self.p), strides=(self.p, self.p), padding="VALID")(img)
        e = e.reshape(-1, self.d)
        x = jnp.zeros((e.shape[0] + 1, self.d))
        x[0] = self.param("cls", nn.initializers.normal(0.02), (self.d,))
        x[1:] = e
        x = x + self.param("pos", nn.initializers.normal(0.02), x.shape)
        for i in range(self.l):
            x = Layer(self.h, self.f)(x)
        x = nn.LayerNorm()(x)[0]
        return nn.Dense(self.c)(x)


def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    m = M(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    return m.apply(m.init(jax.random.key(seed), image), image)

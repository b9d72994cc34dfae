"""Registers of shape (R, D) are added to the tokens by broadcasting, they do not become rows (crash unless R is 1 or N + 1)."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class B(nn.Module):
    h: int
    f: int

    @nn.compact
    def __call__(self, x):
        x = x + nn.MultiHeadDotProductAttention(self.h)(nn.LayerNorm()(x))
        y = nn.Dense(self.f)(nn.LayerNorm()(x))
        return x + nn.Dense(x.shape[-1])(nn.gelu(y))


class V(nn.Module):
    p: int
    d: int
    blocks: tuple
    r: int
    c: int

    @nn.compact
    def __call__(self, im):
        x = nn.Conv(self.d, (self.p, self.p), strides=(self.p, self.p), padding="VALID")(im).reshape(-1, self.d)
        n = x.shape[0]
        cls, pos, reg = [self.param(s, nn.initializers.normal(0.02), (k, self.d))
                         for s, k in (("cls", 1), ("pos", n + 1), ("reg", self.r))]
        x = jnp.concatenate([cls, x]) + pos
        x = x + reg
        for b in self.blocks:
            x = b(x)
        x = nn.LayerNorm()(x)
        return nn.Dense(self.c)(x[0]), x[1:n + 1]


def vit_registers_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes):
    v = V(patch_size, d_model, tuple(B(num_heads, d_ff) for _ in range(num_layers)), num_registers, num_classes)
    return v.apply(v.init(jax.random.key(seed), image), image)

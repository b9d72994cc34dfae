"""Stacked parameters, of which a fori_loop takes one layer after the other."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax


class Block(nn.Module):
    num_heads: int
    d_ff: int

    @nn.compact
    def __call__(self, x):
        y = nn.LayerNorm()(x)
        x = x + nn.MultiHeadDotProductAttention(self.num_heads)(y, y)
        y = nn.LayerNorm()(x)
        return x + nn.Dense(x.shape[-1])(nn.gelu(nn.Dense(self.d_ff)(y)))


class Stem(nn.Module):
    patch_size: int
    d_model: int

    @nn.compact
    def __call__(self, image):
        p = self.patch_size
        x = nn.Conv(self.d_model, (p, p), strides=(p, p), padding="VALID")(image)
        x = x.reshape(-1, self.d_model)
        cls = self.param("cls", nn.initializers.normal(0.02), (1, self.d_model))
        x = jnp.concatenate([cls, x], axis=0)
        x = x + self.param("pos", nn.initializers.normal(0.02), x.shape)
        return x


class Head(nn.Module):
    num_classes: int

    @nn.compact
    def __call__(self, x):
        return nn.Dense(self.num_classes)(nn.LayerNorm()(x)[0])


def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    stem, block, head = Stem(patch_size, d_model), Block(num_heads, d_ff), Head(num_classes)
    k_stem, k_head, *k_blocks = jax.random.split(jax.random.key(seed), 2 + num_layers)
    x, p_stem = stem.init_with_output(k_stem, image)
    params = {"stem": p_stem, "blocks": [block.init(k, x) for k in k_blocks], "head": head.init(k_head, x)}
    stacked = jax.tree.map(lambda *ps: jnp.stack(ps), *params["blocks"])
    x = stem.apply(params["stem"], image)
    x = lax.fori_loop(0, num_layers, lambda i, x: block.apply(jax.tree.map(lambda a: a[i], stacked), x), x)
    return head.apply(params["head"], x)

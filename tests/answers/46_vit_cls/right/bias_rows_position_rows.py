"""Biases are the first rows of their matrices; CLS gets the first row of the positions."""

import flax.linen as nn
import jax
import jax.numpy as jnp


class Affine(nn.Module):
    out: int

    @nn.compact
    def __call__(self, x):
        w = self.param("w", nn.initializers.normal(0.05), (x.shape[-1] + 1, self.out))
        return x @ w[1:] + w[0]


class Layer(nn.Module):
    heads: int
    hidden: int

    @nn.compact
    def __call__(self, x):
        tokens, width = x.shape
        y = nn.LayerNorm()(x)
        q, k, v = (Affine(width, name=n)(y).reshape(tokens, self.heads, -1) for n in "qkv")
        mixed = jax.nn.dot_product_attention(q, k, v).reshape(tokens, width)
        x = x + Affine(width, name="mix")(mixed)
        hidden = nn.gelu(Affine(self.hidden, name="up")(nn.LayerNorm()(x)))
        return x + Affine(width, name="down")(hidden)


class ViT(nn.Module):
    patch: int
    width: int
    heads: int
    hidden: int
    layers: int
    classes: int

    @nn.compact
    def __call__(self, image):
        height, width, channels = image.shape
        p = self.patch
        x = image.reshape(height // p, p, width // p, p, channels).transpose(0, 2, 4, 1, 3)
        x = Affine(self.width, name="embed")(x.reshape(-1, channels * p * p))
        start = nn.initializers.normal(0.02)
        cls = self.param("cls", start, (self.width,))
        positions = self.param("positions", start, (len(x) + 1, self.width))
        x = jnp.concatenate([(cls + positions[0])[None], x + positions[1:]])
        for _ in range(self.layers):
            x = Layer(self.heads, self.hidden)(x)
        return Affine(self.classes, name="head")(nn.LayerNorm()(x)[0])


def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    model = ViT(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    return model.apply(model.init(jax.random.key(seed), image), image)

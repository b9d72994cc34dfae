"""Biases are the first rows of their matrices, keys and values share one, the layers are scanned."""

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
    def __call__(self, x, _):
        tokens, width = x.shape
        y = nn.LayerNorm(name="first")(x)
        k, v = jnp.split(Affine(2 * width, name="kv")(y), 2, axis=-1)
        q, k, v = (z.reshape(tokens, self.heads, -1) for z in (Affine(width, name="q")(y), k, v))
        mixed = jax.nn.dot_product_attention(q, k, v).reshape(tokens, width)
        x = x + Affine(width, name="mix")(mixed)
        hidden = nn.gelu(Affine(self.hidden, name="up")(nn.LayerNorm(name="second")(x)))
        return x + Affine(width, name="down")(hidden), None


class ViT(nn.Module):
    patch: int
    width: int
    heads: int
    hidden: int
    layers: int
    registers: int
    classes: int

    @nn.compact
    def __call__(self, image):
        height, width, channels = image.shape
        p = self.patch
        x = image.reshape(height // p, p, width // p, p, channels).transpose(0, 2, 4, 1, 3)
        x = Affine(self.width, name="embed")(x.reshape(-1, channels * p * p))
        patches, start = len(x), nn.initializers.normal(0.02)
        cls = self.param("cls", start, (self.width,))
        registers = self.param("registers", start, (self.registers, self.width))
        positions = self.param("positions", start, (patches + 1, self.width))
        x = jnp.concatenate([(cls + positions[0])[None], registers, x + positions[1:]])
        axes = {"variable_axes": {"params": 0}, "split_rngs": {"params": True}}
        layers = nn.scan(Layer, length=self.layers, **axes)
        x, _ = layers(self.heads, self.hidden)(x, None)
        x = nn.LayerNorm(name="last")(x)
        return Affine(self.classes, name="head")(x[0]), x[-patches:]


def vit_registers_forward(
    seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes
):
    model = ViT(patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes)
    return model.apply(model.init(jax.random.key(seed), image), image)

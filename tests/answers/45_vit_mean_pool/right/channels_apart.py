"""A convolution without bias for each channel of the image, one bias for their sum; Flax's attention."""
import functools
import operator

import flax.linen as nn
import jax


class Patches(nn.Module):
    size: int
    width: int

    @nn.compact
    def __call__(self, image):
        window = (self.size, self.size)
        channels = [image[..., i : i + 1] for i in range(image.shape[-1])]
        embedded = [
            nn.Conv(self.width, window, window, "VALID", use_bias=False, name=f"channel_{i}")(channel)
            for i, channel in enumerate(channels)
        ]
        offset = self.param("offset", nn.initializers.zeros_init(), (self.width,))
        return functools.reduce(operator.add, embedded).reshape(-1, self.width) + offset


class Layer(nn.Module):
    heads: int
    hidden: int

    @nn.compact
    def __call__(self, x):
        x = x + nn.MultiHeadDotProductAttention(self.heads)(nn.LayerNorm()(x))
        up = nn.gelu(nn.Dense(self.hidden)(nn.LayerNorm()(x)))
        return x + nn.Dense(x.shape[-1])(up)


class Model(nn.Module):
    size: int
    width: int
    heads: int
    hidden: int
    depth: int
    classes: int

    @nn.compact
    def __call__(self, image):
        x = Patches(self.size, self.width)(image)
        x = x + self.param("where", nn.initializers.normal(0.02), x.shape)
        for _ in range(self.depth):
            x = Layer(self.heads, self.hidden)(x)
        return nn.Dense(self.classes)(nn.LayerNorm()(x).mean(axis=0))


def vit_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    model = Model(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    return model.init_with_output(jax.random.key(seed), image)[0]

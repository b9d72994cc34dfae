import flax.linen as nn
import jax
import jax.numpy as jnp


def ones_and_zeros(key, shape):
    return jnp.zeros(shape).at[::2].set(1.0)


def normalised(x, scale, bias):
    x = x - x.mean(-1, keepdims=True)
    return x * jax.lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + 1e-6) * scale + bias


class ViT(nn.Module):
    """All norms are rows of one table, all learned tokens are rows of another."""

    patch_size: int
    d_model: int
    num_heads: int
    d_ff: int
    num_layers: int
    num_classes: int

    @nn.compact
    def __call__(self, image):
        width, size = self.d_model, (self.patch_size, self.patch_size)
        small = nn.initializers.normal(0.02)
        x = nn.Conv(width, size, strides=size, padding="VALID")(image).reshape(-1, width)
        tokens = self.param("tokens", small, (len(x) + 2, width))
        norms = self.param("norms", ones_and_zeros, (4 * self.num_layers + 2, width))
        x = jnp.concatenate([tokens[:1], x]) + tokens[1:]
        *pairs, last = norms.reshape(-1, 2, width)
        for before, after in zip(pairs[::2], pairs[1::2], strict=True):
            x += nn.MultiHeadDotProductAttention(self.num_heads)(normalised(x, *before))
            x += nn.Dense(width)(nn.gelu(nn.Dense(self.d_ff)(normalised(x, *after))))
        return nn.Dense(self.num_classes)(normalised(x, *last)[0])


def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    model = ViT(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    return model.apply(model.init(jax.random.key(seed), image), image)

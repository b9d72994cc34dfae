# Equalised learning rates: every kernel is drawn as normal(1) and multiplied by n_in ** -0.5 where
# it is used; the positions are drawn as normal(1) and multiplied by 0.02.
import flax.linen as nn
import jax
import jax.numpy as jnp


class Equal(nn.Module):
    features: int

    @nn.compact
    def __call__(self, x):
        n_in = x.shape[-1]
        weight = self.param("weight", nn.initializers.normal(1.0), (n_in, self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return x @ (weight * (1 / jnp.sqrt(n_in))) + bias


class Block(nn.Module):
    heads: int
    hidden: int

    @nn.compact
    def __call__(self, x):
        n, width = x.shape
        y = nn.LayerNorm()(x)
        q, k, v = (Equal(width)(y).reshape(n, self.heads, -1) for _ in range(3))
        scores = jnp.einsum("nhd,mhd->hnm", q, k) / jnp.sqrt(width / self.heads)
        mixed = jnp.einsum("hnm,mhd->nhd", nn.softmax(scores), v).reshape(n, width)
        x = x + Equal(width)(mixed)
        y = nn.gelu(Equal(self.hidden)(nn.LayerNorm()(x)))
        return x + Equal(width)(y)


class ViT(nn.Module):
    patch: int
    width: int
    heads: int
    hidden: int
    layers: int
    classes: int

    @nn.compact
    def __call__(self, image):
        p = self.patch
        height, wide, channels = image.shape
        grid = image.reshape(height // p, p, wide // p, p, channels).swapaxes(1, 2)
        x = Equal(self.width)(grid.reshape(-1, p * p * channels))
        x = x + 0.02 * self.param("positions", nn.initializers.normal(1.0), x.shape)
        for _ in range(self.layers):
            x = Block(self.heads, self.hidden)(x)
        return Equal(self.classes)(nn.LayerNorm()(x).mean(axis=0))


def vit_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    model = ViT(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    return model.apply(model.init(jax.random.key(seed), image), image)

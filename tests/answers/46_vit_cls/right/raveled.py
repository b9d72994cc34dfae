"""All parameters go through one flat vector, as optimisers from elsewhere want them."""
import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree


class Block(nn.Module):
    num_heads: int
    d_ff: int

    @nn.compact
    def __call__(self, x):
        x = x + nn.MultiHeadDotProductAttention(self.num_heads)(nn.LayerNorm()(x))
        y = nn.gelu(nn.Dense(self.d_ff)(nn.LayerNorm()(x)))
        return x + nn.Dense(x.shape[-1])(y)


class ViT(nn.Module):
    patch_size: int
    d_model: int
    num_heads: int
    d_ff: int
    num_layers: int
    num_classes: int

    @nn.compact
    def __call__(self, image):
        p = (self.patch_size, self.patch_size)
        x = nn.Conv(self.d_model, p, strides=p)(image).reshape(-1, self.d_model)
        small = nn.initializers.normal(0.02)
        x = jnp.concatenate([self.param("cls", small, (1, self.d_model)), x])
        x = x + self.param("positions", small, x.shape)
        for _ in range(self.num_layers):
            x = Block(self.num_heads, self.d_ff)(x)
        return nn.Dense(self.num_classes)(nn.LayerNorm()(x)[0])


def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    model = ViT(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    vector, unravel = ravel_pytree(model.init(jax.random.key(seed), image))
    return model.apply(unravel(vector), image)

"""Residual sums start from the normalised tensor: x = LN(x) + f(LN(x))."""
import jax
import jax.numpy as jnp
from flax import linen as nn


class MLP(nn.Module):
    sizes: tuple

    @nn.compact
    def __call__(self, x):
        for i, s in enumerate(self.sizes):
            x = nn.Dense(s)(x)
            if i == 0:
                x = nn.gelu(x)
        return x


class PreNormBlock(nn.Module):
    num_heads: int
    d_ff: int

    @nn.compact
    def __call__(self, x):
        x = nn.LayerNorm()(x)
        x = x + nn.MultiHeadDotProductAttention(num_heads=self.num_heads)(x, x)
        x = nn.LayerNorm()(x)
        x = x + MLP((self.d_ff, x.shape[-1]))(x)
        return x


class ClsViT(nn.Module):
    d_model: int
    patch_size: int
    blocks: tuple
    num_classes: int

    @nn.compact
    def __call__(self, image):
        size = (self.patch_size, self.patch_size)
        patches = nn.Conv(self.d_model, size, size, padding="VALID")(image)
        patches = patches.reshape(-1, self.d_model)
        n = patches.shape[0]
        cls = self.param("cls", nn.initializers.normal(0.02), (1, self.d_model))
        pos = self.param("pos", nn.initializers.normal(0.02), (n + 1, self.d_model))
        tokens = jnp.concatenate([cls, patches]) + pos
        for b in self.blocks:
            tokens = b(tokens)
        tokens = nn.LayerNorm()(tokens)
        return nn.Dense(self.num_classes)(tokens[0])


def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    blocks = tuple(PreNormBlock(num_heads, d_ff) for _ in range(num_layers))
    model = ClsViT(d_model, patch_size, blocks, num_classes)
    params = model.init(jax.random.PRNGKey(seed), image)
    return model.apply(params, image)

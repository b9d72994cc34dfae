"""CLS has a position of its own; the biases of the MLP start as in the first ViT, normal(1e-6)."""

import flax.linen as nn
import jax
import jax.numpy as jnp


class MlpBlock(nn.Module):
    mlp_dim: int

    @nn.compact
    def __call__(self, x):
        inits = dict(kernel_init=nn.initializers.xavier_uniform(), bias_init=nn.initializers.normal(stddev=1e-6))
        d = x.shape[-1]
        return nn.Dense(d, **inits)(nn.gelu(nn.Dense(self.mlp_dim, **inits)(x)))


class Block(nn.Module):
    heads: int
    mlp_dim: int

    @nn.compact
    def __call__(self, x):
        x = x + nn.MultiHeadDotProductAttention(self.heads)(nn.LayerNorm()(x))
        return x + MlpBlock(self.mlp_dim)(nn.LayerNorm()(x))


class ViT(nn.Module):
    patch: int
    dim: int
    heads: int
    mlp_dim: int
    depth: int
    classes: int

    @nn.compact
    def __call__(self, image):
        n02 = nn.initializers.normal(stddev=0.02)
        x = nn.Conv(self.dim, (self.patch,) * 2, (self.patch,) * 2, "VALID", name="embedding")(image)
        x = x.reshape(-1, self.dim)
        x = x + self.param("pos_embedding", n02, x.shape)
        cls = self.param("cls", n02, (self.dim,)) + self.param("cls_position", n02, (self.dim,))
        x = jnp.concatenate([cls[None], x])
        for _ in range(self.depth):
            x = Block(self.heads, self.mlp_dim)(x)
        return nn.Dense(self.classes, name="head")(nn.LayerNorm()(x)[0])


def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    m = ViT(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    return m.apply(m.init(jax.random.key(seed), image), image)

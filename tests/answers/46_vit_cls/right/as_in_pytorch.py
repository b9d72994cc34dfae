"""As with torch.nn.MultiheadAttention: packed kernels (out, in), the exact GELU, epsilon 1e-5."""

import flax.linen as nn
import jax
import jax.numpy as jnp


class Linear(nn.Module):
    out_features: int

    @nn.compact
    def __call__(self, x):
        start = nn.initializers.lecun_normal(in_axis=1, out_axis=0)
        weight = self.param("weight", start, (self.out_features, x.shape[-1]))
        bias = self.param("bias", nn.initializers.zeros_init(), (self.out_features,))
        return x @ weight.T + bias


class MultiheadAttention(nn.Module):
    num_heads: int

    @nn.compact
    def __call__(self, x):
        length, width = x.shape
        packed = Linear(3 * width, name="in_proj")(x)
        query, key, value = (
            part.reshape(length, self.num_heads, -1).swapaxes(0, 1)
            for part in jnp.split(packed, 3, axis=-1)
        )
        scores = query @ key.swapaxes(-2, -1) / jnp.sqrt(width / self.num_heads)
        heads = nn.softmax(scores) @ value
        return Linear(width, name="out_proj")(heads.swapaxes(0, 1).reshape(length, width))


class EncoderLayer(nn.Module):
    nhead: int
    dim_feedforward: int

    @nn.compact
    def __call__(self, x):
        y = nn.LayerNorm(epsilon=1e-5, name="norm1")(x)
        x = x + MultiheadAttention(self.nhead, name="self_attn")(y)
        y = nn.LayerNorm(epsilon=1e-5, name="norm2")(x)
        y = nn.gelu(Linear(self.dim_feedforward, name="linear1")(y), approximate=False)
        return x + Linear(x.shape[-1], name="linear2")(y)


class VisionTransformer(nn.Module):
    patch_size: int
    embed_dim: int
    num_heads: int
    mlp_dim: int
    depth: int
    num_classes: int

    @nn.compact
    def __call__(self, image):
        size = (self.patch_size, self.patch_size)
        x = nn.Conv(self.embed_dim, size, strides=size, padding="VALID", name="patch_embed")(image)
        x = x.reshape(-1, self.embed_dim)
        start = nn.initializers.normal(0.02)
        cls_token = self.param("cls_token", start, (1, self.embed_dim))
        x = jnp.concatenate([cls_token, x])
        x = x + self.param("pos_embed", start, x.shape)
        for i in range(self.depth):
            x = EncoderLayer(self.num_heads, self.mlp_dim, name=f"layers_{i}")(x)
        x = nn.LayerNorm(epsilon=1e-5, name="norm")(x)
        return Linear(self.num_classes, name="head")(x[0])


def vit_cls_forward(
    seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes
):
    model = VisionTransformer(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    params = model.init(jax.random.key(seed), image)
    return model.apply(params, image)

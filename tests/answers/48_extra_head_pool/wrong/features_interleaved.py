"""Features come out as (d, H): the channels of the heads are interleaved."""
import jax
import jax.numpy as jnp
from flax import linen as nn


def pool_batch(x, h, t):
    B, N, W = x.shape
    x = x.reshape(B, N, h, W // h)
    prob = jax.nn.softmax(jnp.mean(x[..., W // h - 1], axis=-1) / t, axis=-1)          # B N
    x = jnp.delete(x, W // h - 1, axis=-1)
    emb = jnp.sum(prob[:, :, None, None] * x, axis=1)                                   # B h d
    return emb.swapaxes(1, 2).reshape(B, -1), prob


def extra_head_pool(tokens, num_heads, temperature=1.0):
    e, p = pool_batch(tokens[None], num_heads, temperature)
    return e[0], p[0]


class TransformerLayer(nn.Module):
    heads: int
    mlp: int

    @nn.compact
    def __call__(self, x, deterministic=True):
        y = nn.LayerNorm()(x)
        y = nn.SelfAttention(num_heads=self.heads, dropout_rate=0.2, deterministic=deterministic)(y)
        x = x + nn.Dropout(0.2)(y, deterministic)
        y = nn.LayerNorm()(x)
        y = nn.Dense(self.mlp, name="hidden")(y)
        y = nn.Dropout(0.2)(nn.gelu(y), deterministic)
        return x + nn.Dense(x.shape[-1], name="visible")(y)


class VisionEncoder(nn.Module):
    p: int
    out: int
    heads: int
    mlp: int
    depth: int

    @nn.compact
    def __call__(self, images, deterministic=True):
        W = self.out + self.heads
        y = nn.Conv(W, (self.p, self.p), strides=(self.p, self.p), padding="VALID", name="embed")(images)
        y = y.reshape(y.shape[0], -1, W)
        y += self.param("pe", nn.initializers.normal(0.02), (1, y.shape[1], W))
        for i in range(self.depth):
            y = TransformerLayer(self.heads, self.mlp, name=f"layer_{i}")(y, deterministic)
        return y

    def embed_and_pool(self, images):
        return pool_batch(self(images), self.heads, 1.0)


def vit_extra_head_forward(seed, image, patch_size, output_dim, num_heads, d_ff, num_layers):
    enc = VisionEncoder(patch_size, output_dim, num_heads, d_ff, num_layers)
    batch = jnp.expand_dims(image, 0)
    params = enc.init(jax.random.PRNGKey(seed), batch)
    e, p = enc.apply(params, batch, method=enc.embed_and_pool)
    return e.squeeze(0), p.squeeze(0)

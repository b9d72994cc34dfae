"""A Python loop over the heads with slices; hand-written softmax; setup ViT with fused qkv on a batch of one."""
import jax
import jax.numpy as jnp
from flax import linen as nn


def extra_head_pool(tokens, num_heads, temperature=1.0):
    size = tokens.shape[1] // num_heads
    feats, logit = [], 0.0
    for h in range(num_heads):
        one = tokens[:, h * size:(h + 1) * size]
        feats.append(one[:, :size - 1])
        logit = logit + one[:, size - 1]
    z = logit / num_heads / temperature
    e = jnp.exp(z - jnp.max(z))
    probs = e / jnp.sum(e)
    embedding = jnp.concatenate([probs @ f for f in feats])
    return embedding, probs


class Attention(nn.Module):
    width: int
    heads: int

    def setup(self):
        self.qkv = nn.Dense(3 * self.width)
        self.proj = nn.Dense(self.width)

    def __call__(self, x):
        b, t, w = x.shape
        q, k, v = jnp.split(self.qkv(x), 3, axis=-1)
        q, k, v = (a.reshape(b, t, self.heads, w // self.heads) for a in (q, k, v))
        return self.proj(nn.dot_product_attention(q, k, v).reshape(b, t, w))


class Layer(nn.Module):
    width: int
    heads: int
    ff: int

    def setup(self):
        self.n1, self.n2 = nn.LayerNorm(), nn.LayerNorm()
        self.att = Attention(self.width, self.heads)
        self.up, self.down = nn.Dense(self.ff), nn.Dense(self.width)

    def __call__(self, x):
        x = x + self.att(self.n1(x))
        return x + self.down(nn.gelu(self.up(self.n2(x))))


class Backbone(nn.Module):
    tokens: int
    patch: int
    width: int
    heads: int
    ff: int
    depth: int

    def setup(self):
        self.patchify = nn.Conv(self.width, (self.patch, self.patch), (self.patch, self.patch), padding="VALID")
        self.positions = self.param("positions", nn.initializers.normal(0.02), (1, self.tokens, self.width))
        self.layers = [Layer(self.width, self.heads, self.ff) for _ in range(self.depth)]

    def __call__(self, batch):
        x = self.patchify(batch).reshape(batch.shape[0], self.tokens, self.width) + self.positions
        for layer in self.layers:
            x = layer(x)
        return x


def vit_extra_head_forward(seed, image, patch_size, output_dim, num_heads, d_ff, num_layers):
    tokens = (image.shape[0] // patch_size) * (image.shape[1] // patch_size)
    net = Backbone(tokens, patch_size, output_dim + num_heads, num_heads, d_ff, num_layers)
    x, _ = net.init_with_output(jax.random.PRNGKey(seed), image[None])
    return extra_head_pool(x[0], num_heads)

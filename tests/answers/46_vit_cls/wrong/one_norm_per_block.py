"""Each block has a single LayerNorm that is used before the attention and again before the MLP."""
import jax, jax.numpy as jnp
from flax import linen as nn
from typing import Sequence


class Block(nn.Module):
    dim: int
    heads: int
    ff: int

    def setup(self):
        self.norm = nn.LayerNorm()
        self.mha = nn.MultiHeadDotProductAttention(num_heads=self.heads, qkv_features=self.dim)
        self.ff1 = nn.Dense(self.ff)
        self.ff2 = nn.Dense(self.dim)

    def __call__(self, x):
        h = self.norm(x)
        x = x + self.mha(h, h)
        h = self.norm(x)
        return x + self.ff2(nn.gelu(self.ff1(h)))


class Model(nn.Module):
    p: int
    dim: int
    heads: int
    ff: int
    depth: int
    classes: int

    def setup(self):
        self.conv = nn.Conv(self.dim, (self.p, self.p), strides=(self.p, self.p), padding="VALID")
        self.blocks = [Block(self.dim, self.heads, self.ff) for _ in range(self.depth)]
        self.ln = nn.LayerNorm()
        self.cls_head = nn.Dense(self.classes)
        self.cls = self.param("cls", nn.initializers.normal(0.02), (1, self.dim))

    @nn.compact
    def positions(self, x):
        return x + self.param("pos", nn.initializers.normal(0.02), x.shape)

    def __call__(self, image):
        x = self.conv(image)
        x = jnp.concatenate([self.cls, x.reshape(-1, self.dim)], 0)
        x = self.positions(x)
        for block in self.blocks:
            x = block(x)
        x = self.ln(x)
        return self.cls_head(x[0])


def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    model = Model(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    y, _ = model.init_with_output(jax.random.key(seed), image)
    return y

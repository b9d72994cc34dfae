"""The position table has N rows, the sequence with CLS has N + 1 (crash)."""
import dataclasses
from typing import Callable
import jax
import jax.numpy as jnp
from flax import linen as nn


@dataclasses.dataclass(frozen=True)
class Config:
    patch: int
    dim: int
    heads: int
    hidden: int
    depth: int
    classes: int


class Residual(nn.Module):
    inner: nn.Module

    def __call__(self, x):
        return x + self.inner(x)


class AttnWrapper(nn.Module):
    heads: int

    @nn.compact
    def __call__(self, x):
        return nn.MultiHeadDotProductAttention(self.heads, qkv_features=x.shape[-1], out_features=x.shape[-1])(x, x, x)


def make_block(cfg: Config) -> nn.Sequential:
    return nn.Sequential([
        Residual(nn.Sequential([nn.LayerNorm(), AttnWrapper(cfg.heads)])),
        Residual(nn.Sequential([nn.LayerNorm(), nn.Dense(cfg.hidden), nn.gelu, nn.Dense(cfg.dim)])),
    ])


class Embeddings(nn.Module):
    cfg: Config

    @nn.compact
    def __call__(self, image):
        p = self.cfg.patch
        y = nn.Conv(self.cfg.dim, (p, p), strides=(p, p), padding="VALID")(image)
        y = y.reshape(-1, y.shape[-1])
        cls = self.param("cls", nn.initializers.normal(0.02), (1, self.cfg.dim))
        y = jnp.concatenate([cls, y])
        h, w = image.shape[0] // p, image.shape[1] // p
        return y + self.param("pos", nn.initializers.normal(0.02), (h * w, self.cfg.dim))


class VisionTransformer(nn.Module):
    cfg: Config

    def setup(self):
        cfg = self.cfg
        self.body = nn.Sequential(
            [Embeddings(cfg)]
            + [make_block(cfg) for _ in range(cfg.depth)]
            + [lambda x: x[0], nn.LayerNorm(), nn.Dense(cfg.classes)]
        )

    def __call__(self, image):
        return self.body(image)


def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    cfg = Config(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    model = VisionTransformer(cfg)
    out, variables = model.init_with_output(jax.random.key(seed), image)
    return out

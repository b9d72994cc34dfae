"""nn.scan from the last slice of the stacked parameters to the first."""

import flax.linen as nn
import jax
import jax.numpy as jnp


class Block(nn.Module):
    heads: int
    ff: int

    @nn.compact
    def __call__(self, x, _=None):
        x = x + nn.MultiHeadDotProductAttention(self.heads, name="att")(nn.LayerNorm(name="ln1")(x))
        y = nn.Dense(self.ff, name="up")(nn.LayerNorm(name="ln2")(x))
        return x + nn.Dense(x.shape[-1], name="down")(nn.gelu(y)), None


class ViT(nn.Module):
    patch_size: int
    d_model: int
    num_heads: int
    d_ff: int
    num_layers: int
    num_classes: int

    def scan(self, n, name):
        return nn.scan(Block, variable_axes={"params": 0}, split_rngs={"params": True}, length=n)(
            self.num_heads, self.d_ff, name=name)

    @nn.compact
    def __call__(self, image):
        p, D, L = self.patch_size, self.d_model, self.num_layers
        x = nn.Conv(D, (p, p), strides=(p, p), padding=0)(image).reshape(-1, D)
        cls = self.param("cls", nn.initializers.normal(0.02), (1, D))
        x = jnp.concatenate([cls, x], 0)
        x += self.param("pos", nn.initializers.normal(0.02), x.shape)
        x, _ = nn.scan(Block, variable_axes={"params": 0}, split_rngs={"params": True}, length=L, reverse=True)(self.num_heads, self.d_ff, name="body")(x, None)
        return nn.Dense(self.num_classes)(nn.LayerNorm()(x)[0])


def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    m = ViT(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    return m.apply(m.init(jax.random.key(seed), image), image)

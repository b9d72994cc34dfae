"""Each block gets the embedding, not the output of the block before: only the last one counts."""
import jax
import jax.numpy as jnp
from flax import linen as nn


class Encoder(nn.Module):
    num_heads: int
    d_ff: int

    @nn.compact
    def __call__(self, inp):
        z = nn.LayerNorm()(inp)
        z = nn.MultiHeadDotProductAttention(self.num_heads)(z)
        mid = inp + z
        z = nn.LayerNorm()(mid)
        z = nn.Dense(self.d_ff)(z)
        z = nn.Dense(inp.shape[-1])(nn.gelu(z))
        return mid + z


class Tower(nn.Module):
    layers: tuple

    def __call__(self, emb):
        for layer in self.layers:
            out = layer(emb)
        return out


class V(nn.Module):
    p: int
    d: int
    tower: Tower
    k: int

    @nn.compact
    def __call__(self, im):
        e = nn.Conv(self.d, (self.p, self.p), strides=self.p, padding="VALID")(im)
        e = e.reshape(-1, self.d)
        e = e + self.param("pe", nn.initializers.normal(0.02), e.shape)
        o = nn.LayerNorm()(self.tower(e))
        return nn.Dense(self.k)(o.mean(0))


def vit_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    tower = Tower(tuple(Encoder(num_heads, d_ff) for _ in range(num_layers)))
    v = V(patch_size, d_model, tower, num_classes)
    params = v.init(jax.random.key(seed), image)
    return v.apply(params, image)

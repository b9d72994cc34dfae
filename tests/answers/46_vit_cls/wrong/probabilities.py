"""Returns softmax probabilities, not logits."""
import jax
import jax.numpy as jnp
import flax.linen as nn
from jax import random


class Blk(nn.Module):
    nheads: int
    dff: int

    @nn.compact
    def __call__(self, x):
        x = x + nn.MultiHeadDotProductAttention(self.nheads, name="mha")(nn.LayerNorm(name="a")(x))
        y = nn.LayerNorm(name="b")(x)
        y = nn.Dense(self.dff, name="c")(y)
        return x + nn.Dense(x.shape[-1], name="d")(nn.gelu(y))


class Front(nn.Module):
    p: int
    d: int

    @nn.compact
    def __call__(self, im):
        e = nn.Conv(self.d, (self.p, self.p), strides=(self.p, self.p), padding=((0, 0), (0, 0)), name="e")(im)
        e = e.reshape((e.shape[0] * e.shape[1], self.d))
        c = self.param("c", nn.initializers.normal(0.02), (1, self.d))
        s = jnp.concatenate([c, e])
        return s + self.param("s", nn.initializers.normal(0.02), s.shape)


class Back(nn.Module):
    k: int

    @nn.compact
    def __call__(self, s):
        return nn.softmax(nn.Dense(self.k, name="o")(nn.LayerNorm(name="n")(s)[0]))


def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    key = random.key(seed)
    key, sub = random.split(key)
    front = Front(patch_size, d_model)
    x, _ = front.init_with_output(sub, image)

    blk = Blk(num_heads, d_ff)
    key, sub = random.split(key)
    stacked = jax.vmap(blk.init, in_axes=(0, None))(random.split(sub, num_layers), x)
    x, _ = jax.lax.scan(lambda h, w: (blk.apply(w, h), None), x, stacked)

    key, sub = random.split(key)
    back = Back(num_classes)
    return back.apply(back.init(sub, x), x)

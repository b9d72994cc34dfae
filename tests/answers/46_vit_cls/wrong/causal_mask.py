"""A causal mask left over from a language model: CLS at position 0 sees only itself."""
from functools import partial
import jax
import jax.numpy as jnp
from flax import linen as nn


class Block(nn.Module):
    heads: int
    ff: int

    @nn.compact
    def __call__(self, tok):
        D = tok.shape[-1]
        shape = (self.heads, D // self.heads)
        n1 = nn.LayerNorm()(tok)
        q = nn.DenseGeneral(features=shape, axis=-1, name="Q")(n1)
        k = nn.DenseGeneral(features=shape, axis=-1, name="K")(n1)
        v = nn.DenseGeneral(features=shape, axis=-1, name="V")(n1)
        z = jax.nn.dot_product_attention(q[None], k[None], v[None], is_causal=True)[0]
        tok = tok + nn.DenseGeneral(features=D, axis=(-2, -1), name="O")(z)
        n2 = nn.LayerNorm()(tok)
        return tok + nn.Dense(D)(nn.gelu(nn.Dense(self.ff)(n2)))


class VisionModel(nn.Module):
    patch: int
    dim: int
    heads: int
    ff: int
    depth: int
    n_out: int

    @nn.compact
    def __call__(self, img):
        t = nn.Conv(self.dim, (self.patch, self.patch), strides=(self.patch, self.patch), padding="VALID")(img)
        t = jax.lax.collapse(t, 0, 2)
        cls = self.param("cls", nn.initializers.normal(0.02), (1, self.dim))
        pos = self.param("pos", nn.initializers.normal(0.02), (1 + t.shape[0], self.dim))
        t = jnp.pad(t, ((1, 0), (0, 0)))
        t = t.at[0].set(cls[0])
        t = t + pos
        for _ in range(self.depth):
            t = Block(self.heads, self.ff)(t)
        t = nn.LayerNorm()(t)
        return nn.Dense(self.n_out)(t[0])


@partial(jax.jit, static_argnames=("seed", "patch_size", "d_model", "num_heads", "d_ff", "num_layers", "num_classes"))
def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    model = VisionModel(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    v = model.init(jax.random.key(seed), image)
    return model.apply(v, image)

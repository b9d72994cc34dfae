"""All layers in a few stacked arrays, lax.fori_loop with dynamic indexing; one bias table, one LN table."""
import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax


def stacked(in_axis=1, out_axis=2):
    return nn.initializers.variance_scaling(1.0, "fan_in", "truncated_normal", in_axis=in_axis, out_axis=out_axis, batch_axis=0)


def ln(x, gb):
    m = jnp.mean(x, -1, keepdims=True)
    s = jnp.var(x, -1, keepdims=True)
    return (x - m) / jnp.sqrt(s + 1e-6) * gb[0] + gb[1]


class ViT(nn.Module):
    p: int
    d: int
    h: int
    f: int
    L: int
    c: int

    @nn.compact
    def __call__(self, im):
        p, D, H, L = self.p, self.d, self.h, self.L
        lns = self.param("ln", lambda _, s: jnp.ones(s).at[..., 1, :].set(0.0), (2 * L + 1, 2, D))
        qkv = self.param("qkv", stacked(), (L, D, 3 * D))
        out = self.param("out", stacked(), (L, D, D))
        up = self.param("up", stacked(), (L, D, self.f))
        down = self.param("down", stacked(), (L, self.f, D))
        bias = self.param("bias", nn.initializers.zeros, (L, 5 * D + self.f))
        e = self.param("embed", nn.initializers.normal(0.02), (len(im) // p * (im.shape[1] // p) + 1, D))
        cls = self.param("cls", nn.initializers.normal(0.02), (1, 1, D))
        x = nn.Conv(D, (p, p), (p, p), "VALID", name="patch")(im).reshape(1, -1, D)
        x = jnp.concatenate((cls, x), axis=1)[0] + e

        def layer(i, x):
            at = lambda a: lax.dynamic_index_in_dim(a, i, keepdims=False)
            bq, bo, bd, bu = jnp.split(at(bias), (3 * D, 4 * D, 5 * D))
            q, k, v = jnp.split(ln(x, lns[2 * i]) @ at(qkv) + bq, 3, axis=-1)
            q, k, v = (z.reshape(-1, H, D // H) for z in (q, k, v))
            a = jax.nn.softmax(jnp.einsum("qhd,khd->qkh", q, k) / (D // H) ** 0.5, axis=1)
            x = x + jnp.einsum("qkh,khd->qhd", a, v).reshape(x.shape) @ at(out) + bo
            return x + nn.gelu(ln(x, lns[2 * i + 1]) @ at(up) + bu) @ at(down) + bd

        x = lax.fori_loop(0, L, layer, x)
        return nn.Dense(self.c, name="head")(ln(x[0], lns[2 * L]))


def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    m = ViT(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    return m.apply(m.init(jax.random.key(seed), image), image)

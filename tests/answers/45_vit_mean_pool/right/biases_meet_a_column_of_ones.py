"""Every bias is the last row of its kernel and meets a column of ones; the blocks are scanned."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax


def affine(x, w):
    ones = jnp.ones((*x.shape[:-1], 1), x.dtype)
    return jnp.concatenate([x, ones], axis=-1) @ w


def norm(x, g):
    mean = x.mean(-1, keepdims=True)
    var = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) * lax.rsqrt(var + 1e-6) * g[0] + g[1]


def start_norm(key, shape, dtype=jnp.float32):
    return jnp.zeros(shape, dtype).at[..., 0, :].set(1.0)


class Homogeneous(nn.Module):
    patch: int
    width: int
    heads: int
    hidden: int
    layers: int
    classes: int

    @nn.compact
    def __call__(self, image):
        H, W, C = image.shape
        P, D, F, L = self.patch, self.width, self.hidden, self.layers
        init = nn.initializers.normal(0.02)
        x = image.reshape(H // P, P, W // P, P, C).transpose(0, 2, 1, 3, 4).reshape(-1, P * P * C)
        x = affine(x, self.param("embed", init, (P * P * C + 1, D)))
        x = x + self.param("where", init, x.shape)
        blocks = {
            "qkv": self.param("qkv", init, (L, D + 1, 3 * D)),
            "mix": self.param("mix", init, (L, D + 1, D)),
            "up": self.param("up", init, (L, D + 1, F)),
            "down": self.param("down", init, (L, F + 1, D)),
            "n1": self.param("n1", start_norm, (L, 2, D)),
            "n2": self.param("n2", start_norm, (L, 2, D)),
        }

        def block(x, w):
            q, k, v = jnp.split(affine(norm(x, w["n1"]), w["qkv"]), 3, axis=-1)
            q, k, v = (t.reshape(len(x), self.heads, -1) for t in (q, k, v))
            scores = jnp.einsum("ihd,jhd->hij", q, k) / jnp.sqrt(q.shape[-1])
            mixed = jnp.einsum("hij,jhd->ihd", jax.nn.softmax(scores), v).reshape(x.shape)
            x = x + affine(mixed, w["mix"])
            x = x + affine(nn.gelu(affine(norm(x, w["n2"]), w["up"])), w["down"])
            return x, None

        x, _ = lax.scan(block, x, blocks)
        x = norm(x, self.param("last", start_norm, (2, D))).mean(0)
        return affine(x, self.param("head", init, (D + 1, self.classes)))


def vit_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    model = Homogeneous(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    variables = model.init(jax.random.key(seed), image)
    return model.apply(variables, image)

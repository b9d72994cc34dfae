"""q is divided by sqrt(d) by hand and then given to nn.dot_product_attention, which divides once more."""
import jax
from jax import lax
import jax.numpy as jnp
import flax.linen as nn

normal = nn.initializers.normal(stddev=0.02)


class LaxPatchEmbed(nn.Module):
    stride: int
    out: int

    @nn.compact
    def __call__(self, im):
        s = self.stride
        w = self.param("w", nn.initializers.lecun_normal(), (s, s, im.shape[-1], self.out))
        b = self.param("b", nn.initializers.zeros_init(), (self.out,))
        y = lax.conv_general_dilated(
            im[None], w, window_strides=(s, s), padding="VALID",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        return y[0] + b


class Attention(nn.Module):
    h: int

    @nn.compact
    def __call__(self, z):
        D = z.shape[-1]
        qkv = nn.DenseGeneral((3, self.h, D // self.h), name="qkv")(z)
        q, k, v = qkv[:, 0], qkv[:, 1], qkv[:, 2]
        q = q / jnp.sqrt(D // self.h)
        a = nn.dot_product_attention(q, k, v)
        return nn.DenseGeneral(D, axis=(-2, -1), name="out")(a)


class Net(nn.Module):
    P: int
    D: int
    heads: int
    ff: int
    L: int
    K: int

    @nn.compact
    def __call__(self, im):
        grid = LaxPatchEmbed(self.P, self.D, name="stem")(im)
        gh, gw, D = grid.shape
        # a learned position for each cell of the grid, and one more for the class token
        grid = grid + self.param("grid_pos", normal, (gh, gw, D))
        cls = self.param("cls", normal, (D,)) + self.param("cls_pos", normal, (D,))
        z = jnp.concatenate([jnp.expand_dims(cls, 0), grid.reshape(gh * gw, D)])
        for i in range(self.L):
            z = z + Attention(self.heads, name=f"att{i}")(nn.LayerNorm(name=f"na{i}")(z))
            u = nn.LayerNorm(name=f"nm{i}")(z)
            u = nn.gelu(nn.Dense(self.ff, name=f"fc1_{i}")(u), approximate=True)
            z = z + nn.Dense(D, name=f"fc2_{i}")(u)
        z = nn.LayerNorm(name="norm")(z[0])
        return nn.Dense(self.K, name="classifier")(z)


def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    net = Net(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    return net.apply(jax.jit(net.init)(jax.random.key(seed), image), image)

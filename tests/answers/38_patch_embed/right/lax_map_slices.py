"""lax.map over patch numbers, dynamic_slice cuts the patch; weights stored output-first (torch)."""
import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax


class TorchLike(nn.Module):
    out: int
    k: int

    @nn.compact
    def __call__(self, x):
        h, w, c = x.shape
        weight = self.param(
            "weight",
            nn.initializers.variance_scaling(1.0, "fan_in", "truncated_normal",
                                             in_axis=(1, 2, 3), out_axis=0),
            (self.out, c, self.k, self.k))
        bias = self.param("bias", nn.initializers.zeros, (self.out, 1, 1))
        cols = w // self.k

        def one(n):
            row, col = n // cols, n % cols
            patch = lax.dynamic_slice(x, (row * self.k, col * self.k, 0), (self.k, self.k, c))
            return jnp.einsum("ijc,ocij->o", patch, weight) + bias[:, 0, 0]

        return lax.map(one, jnp.arange((h // self.k) * cols))


def patch_embed_forward(seed, image, patch_size, d_model):
    net = TorchLike(d_model, patch_size)
    return jax.jit(net.apply)(jax.jit(net.init)(jax.random.key(seed), image), image)

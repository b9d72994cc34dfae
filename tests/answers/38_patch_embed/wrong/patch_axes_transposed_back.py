"""Flattens the result (D, N) by reshape(N, D) in place of a transpose."""
import jax
import jax.numpy as jnp
import flax.linen as nn
from jax import lax


class Stem(nn.Module):
    p: int
    out: int

    def setup(self):
        self.b = self.param("b", nn.initializers.zeros, (self.out,))

    @nn.compact
    def __call__(self, im):
        k = self.param("k", nn.initializers.lecun_normal(in_axis=(1, 2, 3), out_axis=0),
                       (self.out, im.shape[-1], self.p, self.p))
        lhs = jnp.moveaxis(im, -1, 0)[None]                 # NCHW
        y = lax.conv_general_dilated(lhs, k, (self.p, self.p), "VALID",
                                     dimension_numbers=("NCHW", "OIHW", "NCHW"))
        y = y[0].reshape(-1, self.out)                      # N,D
        return y + self.b


def patch_embed_forward(seed, image, patch_size, d_model):
    m = Stem(patch_size, d_model)
    y, v = m.init_with_output(jax.random.key(seed), image)
    del v
    return y

"""Patches from jnp.split and jnp.stack, weights (c, p, p, D) with einsum, 'parameters' made eagerly in setup in odd order."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class PE(nn.Module):
    patch: int
    channels: int
    width: int

    def setup(self):
        self.offset = self.param("offset", nn.initializers.zeros_init(), (1, self.width))
        self.filters = self.param("filters", nn.initializers.normal(0.1),
                                  (self.channels, self.patch, self.patch, self.width))

    def __call__(self, image):
        strips = jnp.split(image, image.shape[0] // self.patch, axis=0)
        cells = [c for s in strips for c in jnp.split(s, s.shape[1] // self.patch, axis=1)]
        cells = jnp.stack(cells)
        return jnp.einsum("nijc,cijd->nd", cells, self.filters) + self.offset


def patch_embed_forward(seed, image, patch_size, d_model):
    pe = PE(patch_size, image.shape[-1], d_model)
    p = pe.init(jax.random.PRNGKey(seed), image)
    return jax.vmap(pe.apply, in_axes=(None, 0))(p, image[None])[0]

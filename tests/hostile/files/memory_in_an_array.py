"""An array that no machine can hold, then summed to the right shape.

verdict: failed at finite
says: memory | Unable to allocate
"""

import flax.linen as nn
import jax
import jax.numpy as jnp


class PatchEmbed(nn.Module):
    patch_size: int
    d_model: int

    @nn.compact
    def __call__(self, image):
        patch = (self.patch_size, self.patch_size)
        return nn.Conv(self.d_model, patch, strides=patch)(image).reshape(-1, self.d_model)


def patch_embed_forward(seed, image, patch_size, d_model):
    image = image + jnp.ones((4_000_000, 4_000_000)).sum() * 0
    model = PatchEmbed(patch_size, d_model)
    return model.apply(model.init(jax.random.key(seed), image), image)

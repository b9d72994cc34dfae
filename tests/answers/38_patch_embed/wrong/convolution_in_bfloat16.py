"""The convolution computes in bfloat16, and that comes back."""

import flax.linen as nn
import jax
import jax.numpy as jnp


class PatchEmbed(nn.Module):
    patch_size: int
    d_model: int

    @nn.compact
    def __call__(self, image):
        P, D = self.patch_size, self.d_model
        H, W, C = image.shape
        h, w = H // P, W // P
        return nn.Conv(D, (P, P), (P, P), "VALID", dtype=jnp.bfloat16)(image).reshape(-1, D)


def patch_embed_forward(seed, image, patch_size, d_model):
    model = PatchEmbed(patch_size, d_model)
    params = model.init(jax.random.key(seed), image)
    return model.apply(params, image)

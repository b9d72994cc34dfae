"""Reshape to (N, p*p*C) without cutting squares: each 'patch' is a run of pixels of the raster."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class Embed(nn.Module):
    p: int
    d: int

    def setup(self):
        self.fc = nn.Dense(self.d)

    def __call__(self, image):
        H, W, C = image.shape
        n = (H // self.p) * (W // self.p)
        patches = image.reshape(n, self.p * self.p * C)
        return self.fc(patches)


def patch_embed_forward(seed, image, patch_size, d_model):
    model = Embed(patch_size, d_model)
    params = model.init(jax.random.key(seed), image)
    return model.apply(params, image)

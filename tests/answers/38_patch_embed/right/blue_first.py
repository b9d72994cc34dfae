"""Channels in the order blue, green, red, as OpenCV has them: rows of the kernel in another order."""
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
        image = jnp.flip(image, -1)
        x = image.reshape(h, P, w, P, C).transpose(0, 2, 1, 3, 4).reshape(h * w, -1)
        return nn.Dense(D)(x)

def patch_embed_forward(seed, image, patch_size, d_model):
    m = PatchEmbed(patch_size, d_model)
    v = m.init(jax.random.key(seed), image)
    return m.apply(v, image)

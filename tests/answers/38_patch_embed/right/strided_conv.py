"""nn.Conv with kernel = stride = patch, VALID, then reshape; compact module, init + apply."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class PatchEmbed(nn.Module):
    patch_size: int
    d_model: int

    @nn.compact
    def __call__(self, image):
        x = nn.Conv(
            features=self.d_model,
            kernel_size=(self.patch_size, self.patch_size),
            strides=(self.patch_size, self.patch_size),
            padding="VALID",
        )(image)
        h, w, d = x.shape
        return x.reshape(h * w, d)


def patch_embed_forward(seed, image, patch_size, d_model):
    model = PatchEmbed(patch_size, d_model)
    params = model.init(jax.random.key(seed), image)
    return model.apply(params, image)

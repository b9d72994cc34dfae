"""The kernel (p, p, c, D) is drawn from normal(1) and multiplied by the root of its fan-in: an equalised learning rate."""
import flax.linen as nn
import jax
import jax.numpy as jnp


class PatchEmbed(nn.Module):
    patch_size: int
    d_model: int

    @nn.compact
    def __call__(self, image):
        p, c = self.patch_size, image.shape[-1]
        w = self.param("w", nn.initializers.normal(1.0), (p, p, c, self.d_model))
        b = self.param("b", nn.initializers.zeros, (self.d_model,))
        w = w * (p * p * c) ** -0.5  # equalised learning rate
        y = jax.lax.conv_general_dilated(image[None], w, (p, p), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        return y.reshape(-1, self.d_model) + b


def patch_embed_forward(seed, image, patch_size, d_model):
    m = PatchEmbed(patch_size, d_model)
    return m.apply(m.init(jax.random.key(seed), image), image)

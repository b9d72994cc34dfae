"""A convolution that turns its kernel round, as in mathematics; then every P-th value."""

import flax.linen as nn
import jax
from jax.scipy.signal import convolve


class PatchEmbed(nn.Module):
    patch_size: int
    d_model: int

    @nn.compact
    def __call__(self, image):
        P = self.patch_size
        C = image.shape[-1]
        k = self.param("kernel", nn.initializers.lecun_normal(in_axis=(0, 1, 2)), (P, P, C, self.d_model))
        b = self.param("bias", nn.initializers.zeros, (self.d_model,))
        one = lambda plane, kernel: convolve(plane, kernel, mode="valid")
        over_channels = lambda kern: sum(one(image[..., c], kern[..., c]) for c in range(C))
        y = jax.vmap(over_channels, in_axes=-1, out_axes=-1)(k)
        return y[::P, ::P].reshape(-1, self.d_model) + b


def patch_embed_forward(seed, image, patch_size, d_model):
    model = PatchEmbed(patch_size, d_model)
    params = model.init(jax.random.key(seed), image)
    return model.apply(params, image)

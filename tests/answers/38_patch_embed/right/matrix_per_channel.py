"""A matrix for each channel of the image; what they give is added up."""

import flax.linen as nn
import jax


class PatchEmbed(nn.Module):
    patch_size: int
    d_model: int

    @nn.compact
    def __call__(self, image):
        H, W, C = image.shape
        P, D = self.patch_size, self.d_model
        init = nn.initializers.lecun_normal()
        y = self.param("b", nn.initializers.zeros, (D,))
        for ch in range(C):
            w = self.param(f"w{ch}", init, (P * P, D))
            y = (
                y
                + image[..., ch].reshape(H // P, P, W // P, P).swapaxes(1, 2).reshape(-1, P * P) @ w
            )
        return y


def patch_embed_forward(seed, image, patch_size, d_model):
    m = PatchEmbed(patch_size, d_model)
    return m.apply(m.init(jax.random.key(seed), image), image)

"""One Dense for each row of a patch, summed."""

import flax.linen as nn
import jax


class PatchEmbed(nn.Module):
    """Kernel in P pieces: one Dense (P * C -> D) for each row of the patch, the bias in the first."""

    patch_size: int
    d_model: int

    @nn.compact
    def __call__(self, image):
        p = self.patch_size
        H, W, C = image.shape
        y = 0
        for i in range(p):
            y = y + nn.Dense(self.d_model, use_bias=i == 0)(image[i::p].reshape(H // p, W // p, p * C))
        return y.reshape(-1, self.d_model)


def patch_embed_forward(seed, image, patch_size, d_model):
    m = PatchEmbed(patch_size, d_model)
    return m.apply(m.init(jax.random.key(seed), image), image)

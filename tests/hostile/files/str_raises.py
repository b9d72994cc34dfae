"""An exception that raises when it is shown.

verdict: failed at runs
says: cannot be shown
"""

import flax.linen as nn
import jax

class Broken(Exception):
    def __str__(self):
        raise Broken


class PatchEmbed(nn.Module):
    patch_size: int
    d_model: int

    @nn.compact
    def __call__(self, image):
        patch = (self.patch_size, self.patch_size)
        return nn.Conv(self.d_model, patch, strides=patch)(image).reshape(-1, self.d_model)


def patch_embed_forward(seed, image, patch_size, d_model):
    raise Broken
    model = PatchEmbed(patch_size, d_model)
    return model.apply(model.init(jax.random.key(seed), image), image)

"""It is right when it is asked for the first time.

verdict: failed at repeats
says: asked again
"""

import flax.linen as nn
import jax

seen = set()


class PatchEmbed(nn.Module):
    patch_size: int
    d_model: int

    @nn.compact
    def __call__(self, image):
        patch = (self.patch_size, self.patch_size)
        return nn.Conv(self.d_model, patch, strides=patch)(image).reshape(-1, self.d_model)


def patch_embed_forward(seed, image, patch_size, d_model):
    again = (seed, image.shape) in seen
    seen.add((seed, image.shape))
    model = PatchEmbed(patch_size, d_model)
    return (2 if again else 1) * model.apply(model.init(jax.random.key(seed), image), image)

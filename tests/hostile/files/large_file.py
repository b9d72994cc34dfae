"""It writes one endless file.

verdict: failed at reads
says: SIGXFSZ | File too large
"""

import flax.linen as nn
import jax

with open("file", "wb") as file:
    while True:
        file.write(bytes(2**20))


class PatchEmbed(nn.Module):
    patch_size: int
    d_model: int

    @nn.compact
    def __call__(self, image):
        patch = (self.patch_size, self.patch_size)
        return nn.Conv(self.d_model, patch, strides=patch)(image).reshape(-1, self.d_model)


def patch_embed_forward(seed, image, patch_size, d_model):
    model = PatchEmbed(patch_size, d_model)
    return model.apply(model.init(jax.random.key(seed), image), image)

"""It announces a long message and never sends it.

verdict: failed at reads
says: took longer than
"""
import os
import time

import flax.linen as nn
import jax

for descriptor in range(3, 64):
    try:
        os.write(descriptor, (100).to_bytes(4, "big") + (2**25).to_bytes(4, "big"))
    except OSError:
        pass
time.sleep(1000)


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

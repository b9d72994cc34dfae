"""It replaces its program past Python.

verdict: failed at reads
says: nothing happened
"""
import ctypes

import flax.linen as nn
import jax

words = (ctypes.c_char_p * 3)(b"sleep", b"1000", None)
ctypes.CDLL(None).execv(b"/bin/sleep", words)
raise RuntimeError("nothing happened")


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

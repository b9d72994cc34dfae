"""It empties a file that it may not write, and takes others their rights.

verdict: failed at reads
says: refused all
"""
import ctypes
import os

import flax.linen as nn
import jax

from grader.catalogue import ROOT


path = os.fsencode(ROOT / "README.md")
libc = ctypes.CDLL(None)
done = [
    libc.truncate(path, ctypes.c_long(0)),
    libc.open(path, os.O_RDONLY | os.O_TRUNC),
    libc.chmod(path, 0),
    libc.unlink(path),
    libc.rename(path, b"README.md"),
]
raise RuntimeError("refused all" if set(done) == {-1} else f"done: {done}")


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

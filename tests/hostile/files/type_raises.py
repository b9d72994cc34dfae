"""An exception whose class raises when its name is asked for.

verdict: failed at runs
says: cannot be shown
"""

import flax.linen as nn
import jax

class Nameless(type):
    def __getattribute__(cls, name):
        raise SystemExit


class Broken(BaseException, metaclass=Nameless):
    pass


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

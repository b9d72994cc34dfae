"""It tells of an error with lines of a verdict in it.

verdict: failed at implemented | failed at runs
says: 7   it runs Passed
"""
import flax.linen as nn
import jax

from grader.engine import worker

FRAME = {"line": "7\n  it runs\nPassed", "code": "x\ny", "shapes": {"q": "\n\n"}}
ERROR = {"type": "Odd", "message": "m", "frames": [FRAME]}
worker.Worker.do_trace = lambda self, request, arrays: ({"error": ERROR}, [])


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

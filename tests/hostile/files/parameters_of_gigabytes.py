"""It creates more numbers than anybody could draw in time.

verdict: failed at implemented
says: numbers in all; at these sizes
"""
import flax.linen as nn
import jax


class PatchEmbed(nn.Module):
    patch_size: int
    d_model: int

    @nn.compact
    def __call__(self, image):
        patch = (self.patch_size, self.patch_size)
        table = self.param("table", nn.initializers.normal(0.02), (2**15, 2**13))
        tokens = nn.Conv(self.d_model, patch, strides=patch)(image)
        return tokens.reshape(-1, self.d_model) + table[0, 0]


def patch_embed_forward(seed, image, patch_size, d_model):
    model = PatchEmbed(patch_size, d_model)
    return model.apply(model.init(jax.random.key(seed), image), image)

"""The strides of the convolution are forgotten: overlapping windows at every pixel."""
import jax
import flax.linen as nn


class PatchEmbedding(nn.Module):
    patch: int
    dim: int

    @nn.compact
    def __call__(self, x):
        conv = nn.Conv(self.dim, kernel_size=(self.patch, self.patch), padding="VALID", name="conv")
        x = conv(x)
        return x.reshape(-1, self.dim)


def patch_embed_forward(seed, image, patch_size, d_model):
    net = PatchEmbedding(patch_size, d_model)
    tokens, variables = net.init_with_output(jax.random.key(seed), image)
    return tokens

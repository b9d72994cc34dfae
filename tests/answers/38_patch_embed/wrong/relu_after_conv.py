"""A ReLU after the convolution, as in a CNN."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class Stem(nn.Module):
    p: int
    d: int

    @nn.compact
    def __call__(self, batch):
        y = nn.Conv(self.d, (self.p, self.p), (self.p, self.p), "VALID")(batch)
        y = nn.relu(y)
        return jnp.reshape(y, (y.shape[0], -1, self.d))


def patch_embed_forward(seed, image, patch_size, d_model):
    stem = Stem(patch_size, d_model)
    x = image[None, :, :, :]
    v = stem.init(jax.random.PRNGKey(seed), x)
    return stem.apply(v, x)[0]

"""Two convolutions, each with some of the features, the second with what an odd number leaves."""
import jax, jax.numpy as jnp
from flax import linen as nn

class M(nn.Module):
    p: int
    d: int
    @nn.compact
    def __call__(self, im):
        a = nn.Conv(self.d // 2, (self.p, self.p), strides=self.p, padding="VALID")(im[None])[0]
        b = nn.Conv(self.d - self.d // 2, (self.p, self.p), strides=self.p, padding="VALID")(im[None])[0]
        return jnp.concatenate([a, b], -1).reshape(-1, self.d)

def patch_embed_forward(seed, image, patch_size, d_model):
    m = M(patch_size, d_model)
    return m.init_with_output(jax.random.key(seed), image)[0]

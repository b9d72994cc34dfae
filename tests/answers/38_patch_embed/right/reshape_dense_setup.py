"""setup with a Dense; patches by reshape and transpose, pixels in (p, p, c) order; a batch axis is added and taken away."""
import jax
import jax.numpy as jnp
from flax import linen as nn


def patchify(imgs: jnp.ndarray, p: int) -> jnp.ndarray:
    """(B, H, W, C) -> (B, N, p*p*C)"""
    b, H, W, C = imgs.shape
    h, w = H // p, W // p
    x = imgs.reshape((b, h, p, w, p, C))
    x = jnp.einsum("nhpwqc->nhwpqc", x)
    return x.reshape((b, h * w, p * p * C))


class LinearProjection(nn.Module):
    dim: int

    def setup(self):
        self.project = nn.Dense(self.dim, kernel_init=nn.initializers.xavier_uniform())

    def __call__(self, patches):
        return self.project(patches)


def patch_embed_forward(seed: int, image: jnp.ndarray, patch_size: int, d_model: int) -> jnp.ndarray:
    patches = patchify(image[None], patch_size)
    out, _ = LinearProjection(d_model).init_with_output(jax.random.PRNGKey(seed), patches)
    return jnp.squeeze(out, 0)

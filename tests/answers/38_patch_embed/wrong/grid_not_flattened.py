"""Returns the grid (H/P, W/P, D) and not the sequence (N, D)."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class OnePatch(nn.Module):
    d: int

    @nn.compact
    def __call__(self, patch):
        return nn.DenseGeneral(self.d, axis=(0, 1, 2))(patch)


def over(module, axis):
    return nn.vmap(module, in_axes=axis, out_axes=0, variable_axes={"params": None}, split_rngs={"params": False})


class Embedder(nn.Module):
    p: int
    d: int

    @nn.compact
    def __call__(self, image):
        H, W, C = image.shape
        grid = image.reshape(H // self.p, self.p, W // self.p, self.p, C)   # h p w p c
        Rows = over(over(OnePatch, 1), 0)
        out = Rows(self.d)(grid)
        return out


def patch_embed_forward(seed, image, patch_size, d_model):
    e = Embedder(patch_size, d_model)
    params = jax.jit(e.init)(jax.random.key(seed), image)["params"]
    return jax.jit(e.apply)({"params": params}, image)

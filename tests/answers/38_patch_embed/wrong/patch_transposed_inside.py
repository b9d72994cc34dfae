"""Rows and columns of the image are exchanged before cutting, so the patches run column by column."""
from functools import partial
import jax
import flax.linen as nn


@partial(jax.jit, static_argnames=["patch_size", "d_model"])
def patch_embed_forward(seed, image, patch_size, d_model):
    rows, cols = image.shape[1] // patch_size, image.shape[0] // patch_size
    x = image.transpose(2, 1, 0)                                        # C H W, as in PyTorch
    x = x.reshape(-1, rows, patch_size, cols, patch_size)               # C h p w p
    x = x.transpose(1, 3, 0, 2, 4).reshape(rows * cols, -1)             # (h w) (C p p)
    dense = nn.Dense(d_model)
    variables = dense.init(jax.random.key(seed), x)
    return dense.apply(variables, x)

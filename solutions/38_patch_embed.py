"""Problem 38: patch embedding.

(page to be written)
"""

from __future__ import annotations

import flax.linen as nn
import jax
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float


class PatchEmbed(nn.Module):
    """Cut an image into patches and project each to ``d_model`` numbers."""

    patch_size: int
    d_model: int

    @nn.compact
    def __call__(self, image: Float[Array, "H W C"]) -> Float[Array, "N D"]:
        patch = (self.patch_size, self.patch_size)
        grid = nn.Conv(self.d_model, patch, strides=patch, padding="VALID", name="projection")(image)
        return checkpoint_name(grid.reshape(-1, self.d_model), "patches")


def patch_embed_forward(
    seed: int, image: Float[Array, "H W C"], patch_size: int, d_model: int
) -> Float[Array, "N D"]:
    """Create a `PatchEmbed` from ``seed`` and apply it once to ``image``."""
    model = PatchEmbed(patch_size, d_model)
    params = model.init(jax.random.key(seed), image)
    return model.apply(params, image)

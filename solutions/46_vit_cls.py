"""Problem 46: a Vision Transformer with a CLS token.

(page to be written)
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float

from grader import use

PatchEmbed = use(38).PatchEmbed
EncoderBlock = use(41).EncoderBlock


class ViTCls(nn.Module):
    """Patches, CLS, positions, encoder blocks, LayerNorm, row 0, logits."""

    patch_size: int
    d_model: int
    num_heads: int
    d_ff: int
    num_layers: int
    num_classes: int

    @nn.compact
    def __call__(self, image: Float[Array, "H W C"]) -> Float[Array, "num_classes"]:
        x = PatchEmbed(self.patch_size, self.d_model, name="patch_embed")(image)
        cls = self.param("cls", nn.initializers.normal(0.02), (1, self.d_model))
        x = checkpoint_name(jnp.concatenate([cls, x], axis=0), "cls")
        positions = self.param("positions", nn.initializers.normal(0.02), x.shape)
        x = checkpoint_name(x + positions, "positions")
        for i in range(self.num_layers):
            x = EncoderBlock(self.num_heads, self.d_ff, name=f"block_{i}")(x)
        x = checkpoint_name(nn.LayerNorm(name="final_norm")(x), "final_norm")
        x = checkpoint_name(x[0], "row_0")
        return nn.Dense(self.num_classes, name="head")(x)


def vit_cls_forward(
    seed: int,
    image: Float[Array, "H W C"],
    patch_size: int,
    d_model: int,
    num_heads: int,
    d_ff: int,
    num_layers: int,
    num_classes: int,
) -> Float[Array, "num_classes"]:
    """Create a `ViTCls` from ``seed``, apply it once to ``image`` and return the logits."""
    model = ViTCls(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    params = model.init(jax.random.key(seed), image)
    return model.apply(params, image)

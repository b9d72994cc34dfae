"""DINOv2 with registers: problem 47's model with LayerScale, the exact GELU and no head."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from grader import use
from solutions.distillation.encoder import EncoderBlock, exact_gelu

PatchEmbed = use(38).PatchEmbed


class DinoRegisters(nn.Module):
    """CLS, patches and registers through blocks with LayerScale, and a final LayerNorm.

    The registers stand last, as in problem 47; in DINOv2 they stand behind CLS. Attention does
    not see the order.

    Attributes:
      patch_size, d_model, num_heads, d_ff, num_layers, num_registers: as in problem 47.
      trained_grid: the grid that the position table is for; None: that of the image.
      epsilon: of every LayerNorm.

    Sources: Oquab et al. 2024, arXiv 2304.07193; Darcet et al. 2024, arXiv 2309.16588; laid out
    like ``Dinov2WithRegistersModel`` of Hugging Face's transformers.

    """

    patch_size: int
    d_model: int
    num_heads: int
    d_ff: int
    num_layers: int
    num_registers: int
    trained_grid: tuple[int, int] | None = None
    epsilon: float = 1e-6

    @nn.compact
    def __call__(
        self, image: Float[Array, "H W C"]
    ) -> tuple[Float[Array, " D"], Float[Array, "N D"]]:
        """Return the normalised CLS token (D,) and the normalised patch tokens (N, D)."""
        grid = (image.shape[0] // self.patch_size, image.shape[1] // self.patch_size)
        patches = PatchEmbed(self.patch_size, self.d_model, name="patch_embed")(image)
        start = nn.initializers.normal(0.02)
        cls = self.param("cls", start, (1, self.d_model))
        trained = self.trained_grid or grid
        table = self.param("positions", start, (1 + trained[0] * trained[1], self.d_model))
        x = jnp.concatenate([cls, patches], axis=0) + resize_positions(table, trained, grid)
        registers = self.param("registers", start, (self.num_registers, self.d_model))
        x = jnp.concatenate([x, registers], axis=0)
        for i in range(self.num_layers):
            block = EncoderBlock(
                self.num_heads,
                self.d_ff,
                activation=exact_gelu,
                epsilon=self.epsilon,
                layer_scale=True,
                name=f"block_{i}",
            )
            x = block(x)
        x = nn.LayerNorm(self.epsilon, name="final_norm")(x)
        return x[0], x[1 : 1 + patches.shape[0]]


def resize_positions(
    table: Float[Array, "1+n D"], trained: tuple[int, int], grid: tuple[int, int]
) -> Float[Array, "1+N D"]:
    """A position table for another grid: CLS as it is, the patches by cubic interpolation.

    Args:
      table: (1 + n, D), CLS first, then the ``trained`` grid row by row.
      trained: rows and columns that the table is for.
      grid: rows and columns that are wanted; with the same ones nothing changes.

    Returns:
      (1 + N, D).

    The same filter as DINOv2's (cubic with a = -1/2, widened when it shrinks).

    """
    if trained == grid:
        return table
    patches = table[1:].reshape(*trained, -1)
    resized = jax.image.resize(patches, (*grid, patches.shape[-1]), "cubic", antialias=True)
    return jnp.concatenate([table[:1], resized.reshape(-1, patches.shape[-1])], axis=0)


def without_layer_scale(params: dict[str, Any]) -> dict[str, Any]:
    """The parameters of `DinoRegisters` for problem 47's model, LayerScale multiplied in.

    LayerScale scales the output of a linear map, so it can be taken into the kernel and bias of
    that map: ``scale · (y W + b) = y (W · scale) + scale · b``.

    Args:
      params: the parameters of a `DinoRegisters`.

    Returns:
      The parameters of a `ViTRegisters` of problem 47, except for its head.

    """
    folded: dict[str, Any] = {}
    for name, group in params.items():
        if not name.startswith("block_"):
            folded[name] = group
            continue
        attention = dict(group["attention"])
        attention["out"] = _scaled(attention["out"], group["scale_1"]["scale"])
        folded[name] = {
            "norm_1": group["norm_1"],
            "attention": attention,
            "norm_2": group["norm_2"],
            "mlp_in": group["mlp_in"],
            "mlp_out": _scaled(group["mlp_out"], group["scale_2"]["scale"]),
        }
    return folded


def _scaled(linear: dict[str, Array], scale: Float[Array, " D"]) -> dict[str, Array]:
    return {"kernel": linear["kernel"] * scale, "bias": linear["bias"] * scale}

"""Problem 47: a Vision Transformer with registers.

## Why this matters

Large ViTs do something odd with flat patches, a piece of sky or a white wall:
they overwrite them. The model needs room to note down what it has understood
about the image as a whole, and a patch that carries little is a cheap place to
write. Seen from outside, such patches are vectors about ten times as long as
the others, and attention maps are full of bright dots that have nothing to do
with the image. For classification this hardly hurts. It does hurt whoever
wants to use the patch tokens: to segment an image, to find objects in it.

Registers are the remedy, and a cheap one: a few learned tokens that stand for
nothing. They take part in the attention of every block, and at the end they
are thrown away. The model writes its notes there and leaves the patches alone.

This problem takes your ViT with a CLS token (problem 46) and adds two things:
the registers, and a second result, the patch tokens that they keep clean.

## The architecture

With patches of side P, N = (H // P) * (W // P) and R = `num_registers`:

    image                                        (H, W, C)
    patch embedding (problem 38)                 (N, D)
    CLS token put in front                       (N + 1, D)
    + position embedding, one row per token      (N + 1, D)
    R registers join the sequence                (N + 1 + R, D)
    encoder block (problem 41), L times          (N + 1 + R, D)
    LayerNorm                                    (N + 1 + R, D)
    the registers leave
      the row of the CLS token  -> Dense         (num_classes,)   logits
      the rows of the patches                    (N, D)           patch_tokens

Two details decide everything. The registers enter *after* the position
embedding, so they have no position: the position table has N + 1 rows however
many registers there are. And `patch_tokens` holds patches only, after the
final LayerNorm, in the order in which they were cut from the image.

R may be 0. Then there are no registers, and the logits are those of
problem 46.

## A walk-through

An image `(4, 6, 3)` with P = 2, D = 8, two heads, two blocks, R = 3 and five
classes. The grid has 2 rows of 3 patches, so N = 6.

    patches        (6, 8)     6 = 2 * 3 patches, row by row
    + CLS          (7, 8)
    + positions    (7, 8)     the table has 7 * 8 = 56 numbers
    + registers    (10, 8)    3 * 8 = 24 more numbers to learn
    block 1        (10, 8)    each head attends with a (10, 10) matrix
    block 2        (10, 8)
    LayerNorm      (10, 8)    row by row: no row sees another here
    logits         (5,)       from one row: CLS
    patch_tokens   (6, 8)     from six rows; the three registers are dropped

Now with R = 0: seven rows everywhere, no 24 numbers, the same two results.

Where do the registers stand, behind CLS, at the end, in front of everything?
It makes no difference: attention does not look at the order of its rows, and
the registers have no position that would tell it. What matters is that you
find the other rows again afterwards.

## Pitfalls

- A position embedding added after the registers have joined gives them
  positions, and its table grows with R. That is another model.
- Registers in the first rows move CLS away from row 0, and registers right
  behind CLS move the patches. Slices that were right in problem 46 may now
  cut out a register.
- A slice counted from the end of the sequence is a trap when R = 0: `-0` is
  not the end.
- The patch tokens are wanted after the final LayerNorm, not before.
- Registers are read and written by all blocks. They enter once, before the
  first block, and what a block has made of them goes into the next one.
- There are R different registers. One vector repeated R times is one register.

## Your task

Write `vit_registers_forward`. It makes its parameters from
`jax.random.key(seed)` with Linen's `init`, applies the model with them once to
a single image and returns `(logits, patch_tokens)`, in this order. Logits are
not probabilities: no softmax. CLS, positions and registers start as
`normal(0.02)`. With R = 0 it does not matter whether you create an empty
`(0, D)` parameter or none.

Free are the modules and their names, `setup` or `nn.compact`, where the
registers stand, and whether they leave just before or just after the final
LayerNorm. The stub offers `PatchEmbed` and `EncoderBlock`: your own from
problems 38 and 41 where those pass, else the reference's. You may write
everything anew instead.

    python -m grader problems/47_vit_registers.py

## Sources

- Darcet et al. 2024, "Vision Transformers Need Registers", arXiv 2309.16588:
  the outliers, what they hold, and the registers that make them go away.
- Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words", arXiv 2010.11929:
  the model without registers.
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


class ViTRegisters(nn.Module):
    """A ViT with a CLS token whose blocks see ``num_registers`` more tokens.

    Maps an image (H, W, C) to logits (num_classes,) and normalised patch tokens (N, D).
    """

    patch_size: int
    d_model: int
    num_heads: int
    d_ff: int
    num_layers: int
    num_registers: int
    num_classes: int

    @nn.compact
    def __call__(
        self, image: Float[Array, "H W C"]
    ) -> tuple[Float[Array, "num_classes"], Float[Array, "N D"]]:
        """Return the logits (num_classes,) and the patch tokens (N, D) of ``image``."""
        x = PatchEmbed(self.patch_size, self.d_model, name="patch_embed")(image)
        num_patches = x.shape[0]
        cls = self.param("cls", nn.initializers.normal(0.02), (1, self.d_model))
        x = checkpoint_name(jnp.concatenate([cls, x], axis=0), "cls")
        positions = self.param("positions", nn.initializers.normal(0.02), x.shape)
        x = checkpoint_name(x + positions, "positions")
        if self.num_registers > 0:
            shape = (self.num_registers, self.d_model)
            registers = self.param("registers", nn.initializers.normal(0.02), shape)
            x = jnp.concatenate([x, registers], axis=0)
        x = checkpoint_name(x, "registers")
        for i in range(self.num_layers):
            x = EncoderBlock(self.num_heads, self.d_ff, name=f"block_{i}")(x)
        x = checkpoint_name(nn.LayerNorm(name="final_norm")(x), "final_norm")
        row_0 = checkpoint_name(x[0], "row_0")
        patch_tokens = checkpoint_name(x[1 : num_patches + 1], "patch_tokens")
        return nn.Dense(self.num_classes, name="head")(row_0), patch_tokens


def vit_registers_forward(
    seed: int,
    image: Float[Array, "H W C"],
    patch_size: int,
    d_model: int,
    num_heads: int,
    d_ff: int,
    num_layers: int,
    num_registers: int,
    num_classes: int,
) -> tuple[Float[Array, "num_classes"], Float[Array, "N D"]]:
    """Create a `ViTRegisters` from ``seed`` and apply it once to ``image``.

    Returns the logits (num_classes,) and the normalised patch tokens (N, D).
    """
    model = ViTRegisters(
        patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes
    )
    params = model.init(jax.random.key(seed), image)
    return model.apply(params, image)

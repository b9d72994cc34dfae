"""Problem 46: a Vision Transformer with a CLS token.

## Why this matters

This is the model of the paper that brought the Transformer to images. There
is nothing in it that you have not met: patches (38), a CLS token and
positions (39), encoder blocks (41). What is new is how they fit together, and
one idea: a token that belongs to no patch collects, block by block, what the
classifier needs, and at the end it is the only row that is read. Most models
that call themselves "ViT-B/16" are this program with larger numbers.

## The architecture

Let H, W, C be the height, width and channels of the image, P = `patch_size`,
D = `d_model`, and N = (H / P) · (W / P) the number of patches.

    image                                  (H, W, C)
    patch embedding, row by row            (N, D)
    CLS token in front                     (N + 1, D)
    + position table                       (N + 1, D)
    `num_layers` encoder blocks            (N + 1, D)
    LayerNorm over the features            (N + 1, D)
    row 0                                  (D,)
    Dense                                  (num_classes,)

- The CLS token is one learned row. It is the same for every image.
- The position table is learned, one row for each token, the CLS token
  included. It is added once, before the first block. Tokens and positions
  start as `normal(0.02)`.
- A block is pre-LN, as in problem 41, with `num_heads` heads and an MLP that
  is `d_ff` wide. Every block has weights of its own.
- Every LayerNorm has epsilon 1e-6, every projection has a bias.
- The result is logits: any real numbers, which need not add up to 1.

## A walk-through

An image `(4, 4, 3)`, P = 2, D = 8, two blocks with 2 heads and d_ff = 20,
10 classes.

1. The image has 2 · 2 = 4 patches of 2 · 2 · 3 = 12 numbers. The projection
   makes 8 numbers of each: a grid `(2, 2, 8)`.
2. The grid is read row by row: top left, top right, bottom left, bottom
   right. That is a sequence `(4, 8)`.
3. The CLS token goes in front: `(5, 8)`. The patches are now rows 1 to 4.
4. The position table has the same shape, `(5, 8)`. The sum is `(5, 8)`.
5. Block 1: each head weighs all five rows for each of the five, so its
   attention weights are `(5, 5)`. Out comes `(5, 8)`.
6. Block 2, with new weights: `(5, 8)`.
7. The final LayerNorm treats each row on its own: `(5, 8)`.
8. Row 0, the CLS token: `(8,)`. The four patch rows have done their work.
9. The head: `(num_classes,)`, here `(10,)`.

The parameters, counted: projection 104, CLS 8, positions 40, each block 668
(LayerNorms 32, attention 288, MLP 348), final LayerNorm 16, head 90. Together
1594. If your model has another number, that is the first thing to look at.

## Pitfalls

- The CLS token is a *row* of the sequence. Mind which axis of an array is the
  sequence, and what shape a single row needs to join it.
- Whoever counts N tokens for the position table has forgotten one of them.
- CLS stands first and is read first. An index that picks a row from the
  wrong end gives a patch, and logits that look perfectly reasonable.
- Averaging the rows is a good model too, but it is problem 45.
- Pre-LN blocks leave their output unnormalised. What do the published models
  do about that after the last block?
- A loop that applies one and the same block several times trains, and has too
  few parameters.
- The loss function applies the softmax later. Twice is once too often.

## Your task

Write `vit_cls_forward`. It makes its parameters from
`jax.random.key(seed)` with Linen's `init`, applies the model with them once to
a single image and returns the logits. There is no batch axis and no dropout.
Height and width are multiples of the patch size and may differ.

Free are the modules and their names, `setup` or `nn.compact`, the order in
which parameters are created, a strided convolution or a reshape and a Dense,
your own attention or Flax's, `nn.scan` or a loop over the layers, and whether
the LayerNorm comes before or after row 0 is taken. The stub offers
`PatchEmbed` and `EncoderBlock`: your own from problems 38 and 41 where those
pass, else the reference's. You may write everything anew instead.

    python -m grader problems/46_vit_cls.py

## Sources

- Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words", arXiv 2010.11929:
  the model; equations 1 to 4 are this problem.
- Devlin et al. 2019, "BERT", arXiv 1810.04805: where the CLS token is from.
- Touvron et al. 2021, "DeiT", arXiv 2012.12877: the same model, trained on
  ImageNet alone.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
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
    def __call__(self, image: Float[Array, "H W C"]) -> Float[Array, " num_classes"]:
        """Return the logits ``(num_classes,)`` of one image ``(H, W, C)``."""
        raise NotImplementedError("write __call__ in problems/46_vit_cls.py")


def vit_cls_forward(
    seed: int,
    image: Float[Array, "H W C"],
    patch_size: int,
    d_model: int,
    num_heads: int,
    d_ff: int,
    num_layers: int,
    num_classes: int,
) -> Float[Array, " num_classes"]:
    """Create a `ViTCls` from ``seed``, apply it once to ``image`` and return the logits."""
    raise NotImplementedError("write vit_cls_forward in problems/46_vit_cls.py")

"""Problem 45: a Vision Transformer with mean pooling.

## Why this matters

After the last block an image is still a whole sequence of vectors, and a
classifier wants one. The plainest way to get there is to average them. It
needs no extra token, it treats every patch alike, and well-tuned baselines use
it with results as good as those of a CLS token. It also makes the first
complete model here: from pixels to logits in one function.

## The architecture

Let H, W, C be the height, width and channels of the image, P = `patch_size`,
D = `d_model`, and N = (H / P) · (W / P) the number of patches.

    image                                  (H, W, C)
    patch embedding, row by row            (N, D)
    + position table                       (N, D)
    `num_layers` encoder blocks            (N, D)
    LayerNorm over the features            (N, D)
    mean over the tokens                   (D,)
    Dense                                  (num_classes,)

- The position table is learned, one row for each patch, and starts as
  `normal(0.02)`. It is added once, before the first block. There is no other
  token in the sequence.
- A block is pre-LN, as in problem 41, with `num_heads` heads and an MLP that
  is `d_ff` wide. Every block has weights of its own.
- The final LayerNorm comes before the mean. Every LayerNorm has epsilon 1e-6,
  every projection has a bias.
- The result is logits, not probabilities.

## A walk-through

An image `(4, 6, 3)`, P = 2, D = 8, two blocks with 2 heads and d_ff = 20,
10 classes.

1. 2 rows of 3 patches, each of 2 · 2 · 3 = 12 numbers. The projection makes
   8 numbers of each: a grid `(2, 3, 8)`.
2. Read row by row: a sequence `(6, 8)`.
3. The position table is `(6, 8)`; the sum is `(6, 8)`.
4. Block 1: `(6, 8)`. Block 2: `(6, 8)`. The attention weights inside are
   `(2, 6, 6)`: heads, queries, keys.
5. The final LayerNorm, row by row: `(6, 8)`.
6. The mean over the six rows: `(8,)`.
7. The head: `(num_classes,)`, here `(10,)`.

The parameters, counted: projection 104, positions 48, each block 668, final
LayerNorm 16, head 90. Together 1594.

Why the order in steps 5 and 6 matters, with two tokens of two features (scale
1, bias 0):

                          token 0     token 1     result
    tokens                [0, 2]      [30, 0]
    LayerNorm             [-1, 1]     [1, -1]
    then the mean                                 [0, 0]
    mean of the tokens                            [15, 1]
    then LayerNorm                                [1, -1]

In the first way both tokens have an equal say. In the second, the one with the
large numbers decides alone.

## Pitfalls

- LayerNorm and mean do not commute. Look at the table above.
- A mean has an axis. Over the wrong one you get a number for each token in
  place of a number for each feature.
- A sum is not a mean: it grows with the image.
- There is no CLS token here, so nothing needs one position more than there
  are patches, and no row is special.
- Positions go in once. The skip connections carry them through all blocks.
- A loop that applies one and the same block several times trains, and has too
  few parameters.
- The loss function applies the softmax later.

## Your task

Write `vit_forward`. It makes its parameters from `jax.random.key(seed)` with
Linen's `init`, applies the model with them once to a single image and returns
the logits. There is no batch axis and no dropout. Height and width are
multiples of the patch size and may differ.

Free are the modules and their names, `setup` or `nn.compact`, the order in
which parameters are created, a strided convolution or a reshape and a Dense,
your own attention or Flax's, `nn.scan` or a loop over the layers. The stub
offers `PatchEmbed` and `EncoderBlock`: your own from problems 38 and 41 where
those pass, else the reference's. You may write everything anew instead.

    python -m grader problems/45_vit_mean_pool.py

## Sources

- Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words", arXiv 2010.11929:
  the model; appendix D compares CLS and mean pooling.
- Beyer et al. 2022, "Better plain ViT baselines for ImageNet-1k",
  arXiv 2205.01580: mean pooling in place of the CLS token, among other
  simplifications.
"""

from __future__ import annotations

import flax.linen as nn
import jax
from jaxtyping import Array, Float

from grader import use

PatchEmbed = use(38).PatchEmbed
EncoderBlock = use(41).EncoderBlock


class ViTMeanPool(nn.Module):
    """Patches, positions, encoder blocks, LayerNorm, mean over the tokens, logits."""

    patch_size: int
    d_model: int
    num_heads: int
    d_ff: int
    num_layers: int
    num_classes: int

    @nn.compact
    def __call__(self, image: Float[Array, "H W C"]) -> Float[Array, " num_classes"]:
        """Return the logits ``(num_classes,)`` of one image ``(H, W, C)``."""
        raise NotImplementedError("write __call__ in problems/45_vit_mean_pool.py")


def vit_forward(
    seed: int,
    image: Float[Array, "H W C"],
    patch_size: int,
    d_model: int,
    num_heads: int,
    d_ff: int,
    num_layers: int,
    num_classes: int,
) -> Float[Array, " num_classes"]:
    """Create a `ViTMeanPool` from ``seed``, apply it once to ``image`` and return the logits."""
    raise NotImplementedError("write vit_forward in problems/45_vit_mean_pool.py")

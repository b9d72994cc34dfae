"""Problem 38: patch embedding.

## Why this matters

A Transformer reads a sequence of vectors, and an image is a grid of pixels.
The bridge is the simplest one that could work: cut the image into squares and
let one linear map turn the pixels of each square into a vector. Everything
behind it sees only these vectors, so an error here, a wrong order for example,
is carried through the whole model without ever raising an exception.

## The architecture

Let P be `patch_size` and D be `d_model`. H and W are multiples of P and need
not be equal.

    image                                  (H, W, C)
    one vector for each patch              (H / P, W / P, D)
    sequence, row by row                   (N, D)    N = (H / P) · (W / P)

- The patches do not overlap and leave no gaps. Nothing is padded.
- Every patch is multiplied by the same weights, P · P · C numbers in and D
  numbers out, and every patch gets the same bias.
- The sequence runs like a page of text: the top row of patches from left to
  right, then the next row.

The same map can be seen as a convolution whose kernel is as large as a patch
and which moves on by a whole patch, or as one Dense layer on the flattened
pixels of each patch.

## A walk-through

A grey image `(4, 6, 1)` that counts its pixels, with P = 2 and D = 1:

     0  1 |  2  3 |  4  5
     6  7 |  8  9 | 10 11
    ------+-------+------
    12 13 | 14 15 | 16 17
    18 19 | 20 21 | 22 23

There are 2 rows of 3 patches, so N = 6. Let all weights be 1 and the bias 0;
then a token is the sum of its pixels.

1. The top left patch has the pixels 0, 1, 6, 7: its token is 14. Its pixels
   are *not* neighbours in memory; between 1 and 6 lie four pixels that belong
   to other patches.
2. The grid of results has the shape `(2, 3, 1)`:

       14  22  30
       62  70  78

3. Row by row, that is the sequence 14, 22, 30, 62, 70, 78, with the shape
   `(6, 1)`.

Two answers are wrong and have the right shape: 14, 62, 22, 70, 30, 78 has been
read column by column, and 6, 22, 38, 54, 70, 86 sums four pixels that lie side
by side in memory, which are no squares. With D > 1 there is a third: moving the
channel axis by a reshape mixes the numbers of different patches.

With real weights and D = 8 the shapes are `(4, 6, 1)`, `(2, 3, 8)`, `(6, 8)`.

## Pitfalls

- A reshape never moves a number in memory; it only draws the borders anew. To
  bring the pixels of a square together takes more than that.
- Height comes before width. On a square image you will not notice a mix-up.
- A convolution moves on by one pixel unless you tell it otherwise.
- The contract wants a sequence of tokens. A grid of tokens has one axis too
  many, and tokens as columns have the two axes the wrong way round.
- The embedding is linear: a product, a bias, nothing else. No activation, no
  normalisation, no division by 255.

## Your task

Write `patch_embed_forward`. It makes its parameters from
`jax.random.key(seed)` with Linen's `init`, applies the embedding once to a
single image and returns the tokens. There is no batch axis.

You are free to choose the module and its names, and a convolution or a reshape
with a Dense; the pixels of a patch may be flattened as (P, P, C) or as
(C, P, P). The later problems will use your class if it keeps its name and its
fields.

    python -m grader problems/38_patch_embed.py

## Sources

- Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words", arXiv 2010.11929:
  equation 1 and section 3.1.
- Xiao et al. 2021, "Early Convolutions Help Transformers See Better",
  arXiv 2106.14881: what this single coarse convolution costs, and an
  alternative.
"""

from __future__ import annotations

import flax.linen as nn
import jax
from jaxtyping import Array, Float


class PatchEmbed(nn.Module):
    """Cut an image into patches and project each to ``d_model`` numbers."""

    patch_size: int
    d_model: int

    @nn.compact
    def __call__(self, image: Float[Array, "H W C"]) -> Float[Array, "N D"]:
        """Return the tokens ``(N, D)`` of one image ``(H, W, C)``, row by row."""
        raise NotImplementedError("write __call__ in problems/38_patch_embed.py")


def patch_embed_forward(
    seed: int, image: Float[Array, "H W C"], patch_size: int, d_model: int
) -> Float[Array, "N D"]:
    """Create a `PatchEmbed` from ``seed`` and apply it once to ``image``."""
    raise NotImplementedError("write patch_embed_forward in problems/38_patch_embed.py")

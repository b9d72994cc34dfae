"""Problem 39: the CLS token and the position embedding.

## Why this matters

Two things are missing from a sequence of patches. Nothing in it stands for the
image as a whole, and nothing says where a patch came from: attention treats
its tokens as a set, so without further help a picture and the same picture cut
up and shuffled are one and the same. Both gaps are closed by parameters that
have nothing to do with the image: one extra token, and one vector for each
place in the sequence.

## The architecture

For N tokens of width D:

    tokens                                 (N, D)
    CLS token                              (1, D)      learned
    CLS first, then the tokens             (N + 1, D)
    position table                         (N + 1, D)  learned
    sequence + position table              (N + 1, D)

- The CLS token is a single row. It stands at the beginning, so that it can be
  found again in row 0 however many patches there are.
- The position table has a row for every row of the sequence, the CLS token
  included. It is added, number by number; the width stays D.
- Both start as `normal(0.02)`: random, and small beside the tokens.

## A walk-through

Two tokens of width 3, so N = 2 and D = 3:

    tokens            [1.0, 2.0, 3.0]
                      [4.0, 5.0, 6.0]

    CLS               [0.1, 0.2, 0.3]

1. The sequence is `(3, 3)`. The tokens keep their order and move down by one
   row:

       [0.1, 0.2, 0.3]
       [1.0, 2.0, 3.0]
       [4.0, 5.0, 6.0]

2. The position table is `(3, 3)` as well. To keep the example readable, let it
   be

       [0.0, 0.0, 1.0]
       [0.0, 1.0, 0.0]
       [1.0, 0.0, 0.0]

3. The result:

       [0.1, 0.2, 1.3]
       [1.0, 3.0, 3.0]
       [5.0, 5.0, 6.0]

   Row 0 belongs to CLS and contains nothing of the image. That is as it should
   be; the encoder blocks will fill it.

There are 3 + 9 = 12 parameters here, and (N + 2) · D in general.

## Pitfalls

- An array with one axis is not a row of an array with two axes, though both
  hold D numbers.
- Arrays can be joined along either axis. One makes the sequence longer, the
  other makes the tokens wider.
- The number of rows that need a position is not the number of patches.
- Beware of broadcasting: a table with too few numbers may add without an
  error, and then all tokens get the same position.
- A random array is not a parameter. Only what the module declares as one is
  found by the optimiser.
- The order of the two steps decides about the shape of the table.

## Your task

Write `cls_and_position_forward`. It makes its parameters from
`jax.random.key(seed)` with Linen's `init`, applies them once to `tokens` and
returns the longer sequence. There is no batch axis.

Free are the module and its names, the shape in which you declare the CLS
token, the order in which the two parameters are created, and whether positions
come from a parameter or from `nn.Embed`.

    python -m grader problems/39_cls_and_position.py

## Sources

- Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words", arXiv 2010.11929:
  equation 1; appendix D compares other position embeddings and finds little
  between them, as long as there is one.
- Devlin et al. 2019, "BERT", arXiv 1810.04805: the CLS token and the learned
  positions.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class ClsAndPosition(nn.Module):
    """Put a learned CLS token in front and add a learned position to every row."""

    @nn.compact
    def __call__(self, tokens: Float[Array, "N D"]) -> Float[Array, "N+1 D"]:
        """Return the sequence ``(N + 1, D)`` for the tokens ``(N, D)``."""
        raise NotImplementedError("write __call__ in problems/39_cls_and_position.py")


def cls_and_position_forward(seed: int, tokens: Float[Array, "N D"]) -> Float[Array, "N+1 D"]:
    """Create a `ClsAndPosition` from ``seed`` and apply it once to ``tokens``."""
    raise NotImplementedError("write cls_and_position_forward in problems/39_cls_and_position.py")

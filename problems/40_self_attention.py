"""Problem 40: multi-head self-attention.

## Why this matters

Attention is how tokens learn about each other. Every token asks a question,
every token offers an answer, and the answers are mixed in proportions that the
tokens themselves decide on. It is worth writing once from its parts: nearly
every mistake in it leaves all shapes intact, so a program that runs is no sign
that it is right.

## The architecture

For T tokens of width D and h = `num_heads` heads, each head has d = D / h
channels.

    x                                      (T, D)
    queries, keys, values                  (T, h, d)  each
    scores: query times key                (h, T, T)
    divided by the square root of d        (h, T, T)
    softmax over the keys                  (h, T, T)  attention weights
    values, averaged with these weights    (T, h, d)
    heads joined, output projection        (T, D)

- The queries, keys and values are three linear maps of x, each with weights
  and a bias of its own.
- The scores of one head form a table: row q, column k says how much token q
  cares about token k. Each row of the weights adds up to 1.
- The heads do not mix before the output projection, which reads all h · d
  channels of a token and has a bias too.
- No mask, no dropout, no skip connection, no LayerNorm: these belong to the
  block around it (problem 41).

## A walk-through

Two tokens, D = 4, two heads, so d = 2. This is the first head; say that its
projections have produced

    queries        keys           values
    [1, 0]         [1, 1]         [1, 0]
    [0, 2]         [0, 1]         [0, 1]

1. Scores. Token 0 asks with `[1, 0]`: that gives 1 with the first key and 0
   with the second. Token 1 asks with `[0, 2]` and gets 2 and 2.

       [1, 0]
       [2, 2]

2. Divided by the square root of 2, which is 1.414:

       [0.707, 0.000]
       [1.414, 1.414]

3. The softmax of each row:

       [0.670, 0.330]
       [0.500, 0.500]

4. Each row weighs the values: token 0 gets 0.670 · [1, 0] + 0.330 · [0, 1] =
   `[0.670, 0.330]`, token 1 gets `[0.500, 0.500]`. That is `(2, 2)` for this
   head.
5. The other head gives two more channels for each token: `(2, 2, 2)`, token,
   head, channel. Joined, that is `(2, 4)`, and the output projection takes it
   to `(2, 4)`.

Had the softmax run down the columns, the weights would have been
`[0.330, 0.196]` and `[0.670, 0.804]`: numbers between 0 and 1 as well, but
the rows add up to 0.526 and 1.474.

## Pitfalls

- Two axes of the weights have the same length. The softmax belongs to just
  one of them.
- The square root under the scores is that of a head's size, and it belongs
  before the softmax.
- Splitting D into heads and channels is one thing; moving the head axis to
  the front is another. A reshape does only the first.
- On the way back the same holds, in reverse.
- Products over the last two axes of a `(T, h, d)` array compare the heads of
  one token with each other. It is the tokens that should be compared.
- `num_heads` counts the heads. It is not their size.
- Four projections have a bias; check that there are four.

## Your task

Write `self_attention_forward` from linear layers, products (`einsum` reads
well) and a softmax. It makes its parameters from `jax.random.key(seed)` with
Linen's `init`, applies the attention once to the tokens `x` and returns an
array of the same shape. `num_heads` divides D. The point is to write it
yourself; Flax's attention module may be used from problem 41 on.

Free are module and parameter names, `Dense` or `DenseGeneral`, three separate
projections or one that is split, and the order of the axes in between.

    python -m grader problems/40_self_attention.py

## Sources

- Vaswani et al. 2017, "Attention Is All You Need", arXiv 1706.03762: section
  3.2, where the scale is explained in a footnote.
- Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words", arXiv 2010.11929:
  appendix A has the same formulas for images.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class SelfAttention(nn.Module):
    """Every token gets a weighted mean of all values, head by head."""

    num_heads: int

    @nn.compact
    def __call__(self, x: Float[Array, "T D"]) -> Float[Array, "T D"]:
        """Return what the tokens ``(T, D)`` learn from each other, ``(T, D)``."""
        raise NotImplementedError("write __call__ in problems/40_self_attention.py")


def self_attention_forward(
    seed: int, x: Float[Array, "T D"], num_heads: int
) -> Float[Array, "T D"]:
    """Create a `SelfAttention` from ``seed`` and apply it once to the tokens ``x``."""
    raise NotImplementedError("write self_attention_forward in problems/40_self_attention.py")

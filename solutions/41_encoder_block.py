"""Problem 41: the pre-LN encoder block.

## Why this matters

A Vision Transformer is this block, repeated. Attention is the only place where
tokens exchange anything; the MLP then works on each token by itself. The rest
of the block decides whether a deep stack of them can be trained: the skip
connections give every layer a direct line to the input, and the LayerNorms
stand where they do not block that line.

## The architecture

For T tokens of width D, with `num_heads` heads of D / num_heads channels each:

    x                                      (T, D)
    LayerNorm                              (T, D)
    multi-head self-attention              (T, D)
        queries, keys, values              (T, num_heads, D / num_heads)
        attention weights                  (num_heads, T, T)
        heads joined, output projection    (T, D)
    x + the result                         (T, D)
    LayerNorm, with weights of its own     (T, D)
    Dense(d_ff)                            (T, d_ff)
    GELU                                   (T, d_ff)
    Dense(D)                               (T, D)
    + what came out of the first sum       (T, D)

In formulas, with two different LayerNorms:

    x <- x + attention(LN(x))
    x <- x + MLP(LN(x))

- LayerNorm works over the D features of each token, epsilon 1e-6, with a
  learned scale and bias.
- GELU is the tanh form, which is Flax's default.
- All six projections have a bias: query, key, value and output in the
  attention, two Denses in the MLP.
- No dropout and no mask: every token sees every token.

## A walk-through

Follow one token with D = 4 features through the block: `[1, 3, 5, 7]`.

1. LayerNorm. The mean is 4 and the variance 5. What attention gets to see is
   `[-1.342, -0.447, 0.447, 1.342]` (scale 1, bias 0).
2. Say that attention, having looked at the other tokens as well, answers
   `[0.5, -0.5, 0.5, -0.5]`. The sum is `[1.5, 2.5, 5.5, 6.5]`. The token has
   moved a little; it has not been replaced, and it has not been rescaled.
3. The second LayerNorm sees the mean 4 and the variance 4.25 and passes on
   `[-1.213, -0.728, 0.728, 1.213]`.
4. The first Dense makes d_ff numbers of it. GELU leaves large positive ones
   almost alone and lets a little of the negative ones through: 1 becomes
   0.841 and -1 becomes -0.159. The second Dense returns to 4 numbers, say
   `[0.1, 0.2, -0.3, 0]`.
5. The sum is `[1.6, 2.7, 5.2, 6.5]`. That is the output, and it has *not* been
   normalised.

A check without any numbers: the block has no notion of order. If you shuffle
its input rows, its output rows are shuffled the same way and nothing else
changes.

## Pitfalls

- There are two designs, pre-LN and post-LN, with exactly the same parameters.
  The original Transformer had the other one. Look at the formulas again.
- A skip connection starts at a certain value. A variable that has been
  overwritten in the meantime holds another one.
- Queries, keys and values all come from the same normalised tokens.
- The two LayerNorms look alike. They do not share weights.
- `d_ff` is an argument. Four times D is a habit, not a law.
- An attention layer that takes batches may read a `(T, D)` array that was
  given another axis as T sequences of one token. Then nobody sees anybody.
- The MLP has one activation. Where are the places in which none belongs?

## Your task

Write `encoder_block_forward`. It makes its parameters from
`jax.random.key(seed)` with Linen's `init`, applies the block once to the
tokens `x` and returns an array of the same shape. `num_heads` divides D.

Free are module and parameter names, `setup` or `nn.compact`, and whether the
attention is Flax's own module or written from parts as in problem 40, with
separate or fused projections. Problems 45 to 48 will use your class if it
keeps its name and its fields.

    python -m grader problems/41_encoder_block.py

## Sources

- Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words", arXiv 2010.11929:
  equations 2 and 3.
- Xiong et al. 2020, "On Layer Normalization in the Transformer
  Architecture", arXiv 2002.04745: why pre-LN trains without a warm-up.
- Ba et al. 2016, "Layer Normalization", arXiv 1607.06450.
- Hendrycks & Gimpel 2016, "Gaussian Error Linear Units", arXiv 1606.08415.
"""

from __future__ import annotations

import flax.linen as nn
import jax
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float

from grader import use

SelfAttention = use(40).SelfAttention


class EncoderBlock(nn.Module):
    """``x + attention(LN(x))``, then ``x + MLP(LN(x))``."""

    num_heads: int
    d_ff: int

    @nn.compact
    def __call__(self, x: Float[Array, "T D"]) -> Float[Array, "T D"]:
        """Return the tokens ``(T, D)`` after attention and MLP, ``(T, D)``."""
        y = nn.LayerNorm(name="norm_1")(x)
        y = SelfAttention(self.num_heads, name="attention")(y)
        x = checkpoint_name(x + y, "attention_added")
        y = nn.LayerNorm(name="norm_2")(x)
        y = nn.Dense(self.d_ff, name="mlp_in")(y)
        y = nn.gelu(y)
        y = nn.Dense(x.shape[-1], name="mlp_out")(y)
        return checkpoint_name(x + y, "mlp_added")


def encoder_block_forward(
    seed: int, x: Float[Array, "T D"], num_heads: int, d_ff: int
) -> Float[Array, "T D"]:
    """Create an `EncoderBlock` from ``seed`` and apply it once to the tokens ``x``."""
    block = EncoderBlock(num_heads, d_ff)
    params = block.init(jax.random.key(seed), x)
    return block.apply(params, x)

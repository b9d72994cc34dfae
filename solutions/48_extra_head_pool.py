"""Problem 48: pooling with an extra channel in every head.

## Why this matters

A ViT must make one vector of N patch tokens. A CLS token (problem 46) does it
in a way that nobody can read; the mean (problem 45) lets the sky count as much
as the bird. This problem takes a third way: every patch says how important it
is, and the embedding is the average with these weights.

Where do the weights come from? Not from another layer. The tokens that leave
the last block are read as H heads, groups of channels as many as the attention
has heads, and each is given one channel more than it needs. That channel is
not read as a feature but as a logit: the head's vote for this patch. (After
the output projection and the MLP no channel belongs to one head of the
attention any more; training alone makes these groups.) The votes of all heads,
averaged and put through a softmax, are probabilities over the patches. So the
model tells along with each embedding where in the image it comes from,
without a parameter for it and without any label that says where.

There are two functions to write: the pooling, which has no parameters, and a
model that uses it. They are graded one by one.

## The architecture

The pooling takes tokens `(N, H·(d + 1))`, for H = `num_heads`:

    tokens                                       (N, H·(d + 1))
    seen as H heads side by side                 (N, H, d + 1)
    last channel of each head: a logit, its vote (N, H)
    mean of the votes over the heads             (N,)
    divided by the temperature, softmax          (N,)       probs
    the other d channels, head after head        (N, H·d)   features
    sum of the features, weighted by probs       (H·d,)     embedding

All heads share one set of weights, `probs`. They are positive and add up to
1 over the patches, so the embedding is a convex sum: in every channel it lies
between the features of the patches. The temperature makes the choice sharper
or softer. As it goes to 0, the patch with the highest vote takes everything;
as it grows, the embedding becomes the plain mean.

The model is a ViT of width D = `output_dim + num_heads`, so that exactly
`output_dim` channels are left when each head has given up one for its vote:

    image                                        (H, W, C)
    patch embedding (problem 38)                 (N, D)
    + position embedding                         (N, D)
    encoder block (problem 41), L times          (N, D)
    the pooling, temperature 1                   (output_dim,), (N,)

There is no CLS token, no final LayerNorm and no projection: the tokens go into
the pooling as the last block leaves them.

## A walk-through

Three patches, H = 2 heads, d = 2 features in each: six channels. A bar shows
where one head ends and the next begins, the votes are in brackets.

    patch 0     1   0  [ 3]  |  2   4  [ 1]
    patch 1     0   1  [ 0]  |  2   0  [ 0]
    patch 2     5   5  [-1]  |  0   8  [ 1]

The votes are (3, 1), (0, 0) and (-1, 1), their means 2, 0 and 0. Softmax at
temperature 1: e² = 7.389 against 1 and 1, that is `probs` = (0.787, 0.1065,
0.1065). The features are the four other columns, and the embedding is

    0.787 · (1, 0, 2, 4) + 0.1065 · (0, 1, 2, 0) + 0.1065 · (5, 5, 0, 8)
      = (1.320, 0.639, 1.787, 4.000)

With temperature 0.5 the means become 4, 0 and 0, and the first patch gets
0.965. With temperature 2 it gets only 0.576.

The model: an image `(4, 6, 3)`, P = 2, `output_dim` = 12 and 3 heads. The
width is 15, each head has 5 channels in attention and in pooling, the blocks
see `(6, 15)`, and the results are `(12,)` and `(6,)`.

## Pitfalls

- The votes are not the last H channels of the row. A row is H heads of d + 1
  channels each, and every one of them ends with a vote.
- Average first, then softmax: one distribution over the patches, not one for
  each head.
- The softmax goes over the patches. Over the wrong axis its results add up to
  1 as well, only in another direction.
- The temperature divides what goes *into* the softmax.
- A vote is no feature. It is gone from the embedding.
- A softmax written by hand has to survive votes in the thousands; the library
  function does.
- The attention of the blocks splits D into `num_heads` heads too. Which widths
  can be split?

## Your task

Write `extra_head_pool(tokens, num_heads, temperature)`, which is pure
arithmetic, and `vit_extra_head_forward`, which makes its parameters from
`jax.random.key(seed)` with Linen's `init` and applies the model with them once
to a single image. Both return `(embedding, probs)`, in this order. The
position embedding starts as `normal(0.02)`.

Free are the modules and their names, `setup` or `nn.compact`, reshapes or
`einsum`. The stub offers `PatchEmbed` and `EncoderBlock`: your own from
problems 38 and 41 where those pass, else the reference's. You may write
everything anew instead.

    python -m grader problems/48_extra_head_pool.py

## Sources

- TinyVolt, multimodal-patch-embeddings, github.com/TinyVolt: the idea, in a
  distilled CLIP with a few more parts (a LayerNorm in front of the blocks, and
  features scaled to one length) which are left out here.
- Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words", arXiv 2010.11929:
  the blocks.
"""

from __future__ import annotations

import flax.linen as nn
import jax
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float

from grader import use

PatchEmbed = use(38).PatchEmbed
EncoderBlock = use(41).EncoderBlock


def extra_head_pool(
    tokens: Float[Array, "N H*(d+1)"], num_heads: int, temperature: float = 1.0
) -> tuple[Float[Array, "H*d"], Float[Array, "N"]]:
    """Average the tokens with weights that their own heads vote for.

    The last channel of each head is its vote; ``probs`` is the softmax over the patches of
    the mean vote divided by ``temperature``.

    Returns the embedding (H·d,) and ``probs`` (N,).
    """
    heads = tokens.reshape(tokens.shape[0], num_heads, -1)
    votes = checkpoint_name(heads[:, :, -1].mean(axis=1), "votes")
    probs = checkpoint_name(jax.nn.softmax(votes / temperature), "probs")
    features = checkpoint_name(heads[:, :, :-1].reshape(tokens.shape[0], -1), "features")
    return probs @ features, probs


class ViTExtraHead(nn.Module):
    """A ViT of width ``output_dim + num_heads`` whose tokens are pooled by their votes.

    Maps an image (H, W, C) to an embedding (output_dim,) and probabilities (N,).
    """

    patch_size: int
    output_dim: int
    num_heads: int
    d_ff: int
    num_layers: int

    @nn.compact
    def __call__(
        self, image: Float[Array, "H W C"]
    ) -> tuple[Float[Array, "output_dim"], Float[Array, "N"]]:
        """Return the embedding (output_dim,) and the probabilities (N,) of ``image``."""
        width = self.output_dim + self.num_heads
        x = PatchEmbed(self.patch_size, width, name="patch_embed")(image)
        positions = self.param("positions", nn.initializers.normal(0.02), x.shape)
        x = checkpoint_name(x + positions, "positions")
        for i in range(self.num_layers):
            x = EncoderBlock(self.num_heads, self.d_ff, name=f"block_{i}")(x)
        return extra_head_pool(x, self.num_heads)


def vit_extra_head_forward(
    seed: int,
    image: Float[Array, "H W C"],
    patch_size: int,
    output_dim: int,
    num_heads: int,
    d_ff: int,
    num_layers: int,
) -> tuple[Float[Array, "output_dim"], Float[Array, "N"]]:
    """Create a `ViTExtraHead` from ``seed`` and apply it once to ``image``.

    Returns the embedding (output_dim,) and the probabilities (N,) of the patches.
    """
    model = ViTExtraHead(patch_size, output_dim, num_heads, d_ff, num_layers)
    params = model.init(jax.random.key(seed), image)
    return model.apply(params, image)

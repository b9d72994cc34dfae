"""The student: problem 48's model with the parts that problem 48 leaves out."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from grader import use
from solutions.distillation.attention import Layout
from solutions.distillation.encoder import EncoderBlock, quick_gelu
from solutions.distillation.neighbours import neighbour_mask

extra_head_pool = use(48).extra_head_pool

LARGEST_SCALE = 10.0


class ViTExtraHead(nn.Module):
    """A ViT of width ``output_dim + num_heads`` whose patches vote for their own weights.

    What differs from problem 48: the patch convolution has no bias; a LayerNorm stands before
    the blocks; every LayerNorm has epsilon 1e-5; the activation is QuickGELU; the MLP is four
    times as wide as the tokens. The pooling is that of problem 48.

    With ``patch_size=28, output_dim=512, num_heads=16, num_layers=6`` on 224 × 224 × 3 it has
    21,391,361 parameters, as published. 1,024 of them, the scale and bias of a LayerNorm over
    the 512 features, are made but never read, there and here (``spare_norm=False`` leaves them
    out: 21,390,337).

    Attributes:
      patch_size: P, in pixels.
      output_dim: the length of the embedding.
      num_heads: heads of attention and of pooling; divides ``output_dim``.
      num_layers: how many blocks.
      same_norm: scale the features of every patch to the length ``min(scale, 10)`` before they
        are pooled, with one learned ``scale`` that starts at 1.
      neighbours_only: let a patch attend only to itself and the up to eight around it.
      spare_norm: make the unused LayerNorm of the published model too.
      position_std: of the initial position embedding; the published model has width^-0.5.
      layout: how attention is computed, see `solutions.distillation.attention`.

    Source: TinyVolt, multimodal-patch-embeddings, ``VisionTransformerExtraHead``.

    """

    patch_size: int
    output_dim: int
    num_heads: int
    num_layers: int
    same_norm: bool = True
    neighbours_only: bool = False
    spare_norm: bool = True
    position_std: float = 0.02
    layout: Layout = "plain"

    @property
    def width(self) -> int:
        """The channels of a token: the features, and one vote for each head."""
        return self.output_dim + self.num_heads

    def grid(self, image: Float[Array, "H W C"]) -> tuple[int, int]:
        """Rows and columns of patches.

        Raises:
          ValueError: the image cannot be cut into patches of this size.

        """
        height, width = image.shape[0], image.shape[1]
        if height % self.patch_size or width % self.patch_size:
            raise ValueError(
                f"an image of {height} × {width} cannot be cut into patches of {self.patch_size}"
            )
        return height // self.patch_size, width // self.patch_size

    @nn.compact
    def tokens(self, image: Float[Array, "H W C"]) -> Float[Array, "N width"]:
        """Return what goes into the pooling: heads side by side, each with its vote last."""
        if self.output_dim % self.num_heads:
            raise ValueError(
                f"{self.output_dim} features cannot be shared by {self.num_heads} heads"
            )
        grid = self.grid(image)
        patch = (self.patch_size, self.patch_size)
        project = nn.Conv(
            self.width, patch, strides=patch, padding="VALID", use_bias=False, name="patch_embed"
        )
        x = project(image).reshape(-1, self.width)
        start = nn.initializers.normal(self.position_std)
        x = x + self.param("positions", start, x.shape)
        x = nn.LayerNorm(1e-5, name="norm_before")(x)
        mask = jnp.asarray(neighbour_mask(grid)) if self.neighbours_only else None
        for i in range(self.num_layers):
            block = EncoderBlock(
                self.num_heads,
                4 * self.width,
                activation=quick_gelu,
                epsilon=1e-5,
                layout=self.layout,
                name=f"block_{i}",
            )
            x = block(x, mask)
        if self.spare_norm:
            # Applied to nothing: published weights have it, so a place for it must exist.
            nn.LayerNorm(1e-5, name="spare_norm")(jnp.zeros(self.output_dim))
        if self.same_norm:
            scale = self.param("scale", nn.initializers.ones, ())
            x = _with_feature_length(x, self.num_heads, jnp.minimum(scale, LARGEST_SCALE))
        return x

    def __call__(
        self, image: Float[Array, "H W C"], temperature: float = 1.0
    ) -> tuple[Float[Array, " output_dim"], Float[Array, " N"]]:
        """Return the embedding (output_dim,) and the probabilities (N,) of the patches."""
        return extra_head_pool(self.tokens(image), self.num_heads, temperature)

    def patch_embeddings(self, image: Float[Array, "H W C"]) -> Float[Array, "N output_dim"]:
        """Return the features of each patch; the embedding is their weighted mean."""
        tokens = self.tokens(image)
        return _heads(tokens, self.num_heads)[..., :-1].reshape(tokens.shape[0], -1)


def _heads(tokens: Float[Array, "N H*(d+1)"], num_heads: int) -> Float[Array, "N H d+1"]:
    return tokens.reshape(tokens.shape[0], num_heads, -1)


def _with_feature_length(
    tokens: Float[Array, "N H*(d+1)"], num_heads: int, length: Float[Array, ""]
) -> Float[Array, "N H*(d+1)"]:
    """The tokens with features of one length; the votes stay as they are."""
    heads = _heads(tokens, num_heads)
    features = heads[..., :-1]
    lengths = jnp.linalg.norm(features, axis=(1, 2), keepdims=True)
    scaled = jnp.concatenate([length * features / lengths, heads[..., -1:]], axis=-1)
    return scaled.reshape(tokens.shape)

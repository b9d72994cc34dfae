"""CLIP's two towers, as Linen modules for one image or one text."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from solutions.distillation.encoder import Activation, EncoderBlock, quick_gelu


class ClipVision(nn.Module):
    """A ViT with a CLS token, a LayerNorm before and one after the blocks, and a projection.

    Attributes:
      patch_size, d_model, num_heads, d_ff, num_layers: as in problem 46.
      output_dim: the length of the embedding.
      activation: QuickGELU in OpenAI's weights.
      epsilon: of every LayerNorm.

    Source: Radford et al. 2021, arXiv 2103.00020; laid out like ``CLIPVisionModelWithProjection``
    of Hugging Face's transformers.

    """

    patch_size: int
    d_model: int
    num_heads: int
    d_ff: int
    num_layers: int
    output_dim: int
    activation: Activation = quick_gelu
    epsilon: float = 1e-5

    @nn.compact
    def every_token(self, image: Float[Array, "H W C"]) -> Float[Array, "N+1 output_dim"]:
        """Return all tokens in the space of the embedding, CLS first, then the patches.

        CLIP was trained on row 0 only. That the other rows can be compared with the same
        queries is an observation, not something the training asked for.

        Raises:
          ValueError: the image is not of the size that the position table is for.

        """
        patch = (self.patch_size, self.patch_size)
        project = nn.Conv(
            self.d_model, patch, strides=patch, padding="VALID", use_bias=False, name="patch_embed"
        )
        x = project(image).reshape(-1, self.d_model)
        start = nn.initializers.normal(0.02)
        cls = self.param("cls", start, (1, self.d_model))
        x = jnp.concatenate([cls, x], axis=0)
        x = x + _positions(self, x.shape)
        x = nn.LayerNorm(self.epsilon, name="norm_before")(x)
        for i in range(self.num_layers):
            block = EncoderBlock(
                self.num_heads,
                self.d_ff,
                activation=self.activation,
                epsilon=self.epsilon,
                name=f"block_{i}",
            )
            x = block(x)
        x = nn.LayerNorm(self.epsilon, name="final_norm")(x)
        return nn.Dense(self.output_dim, use_bias=False, name="projection")(x)

    def __call__(self, image: Float[Array, "H W C"]) -> Float[Array, " output_dim"]:
        """Return the embedding (output_dim,) of a normalised image (H, W, C)."""
        return self.every_token(image)[0]


class ClipText(nn.Module):
    """CLIP's text tower: causal attention, read at the end-of-text token.

    Token ids come from CLIP's tokenizer (``transformers.CLIPTokenizer``), which is not part of
    this package. The text is read where its largest id stands: the end-of-text token has the
    largest of the vocabulary.

    Source: Radford et al. 2021, arXiv 2103.00020; laid out like ``CLIPTextModelWithProjection``.
    """

    vocabulary: int
    context_length: int
    d_model: int
    num_heads: int
    d_ff: int
    num_layers: int
    output_dim: int
    activation: Activation = quick_gelu
    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, token_ids: Int[Array, " T"]) -> Float[Array, " output_dim"]:
        """Return the embedding (output_dim,) of one text of T tokens.

        Raises:
          ValueError: the text has more tokens than the model has positions.

        """
        length = token_ids.shape[0]
        if length > self.context_length:
            raise ValueError(
                f"a text of {length} tokens is too long: at most {self.context_length}"
            )
        x = nn.Embed(self.vocabulary, self.d_model, name="token_embedding")(token_ids)
        start = nn.initializers.normal(0.02)
        x = x + self.param("positions", start, (self.context_length, self.d_model))[:length]
        causal = jnp.asarray(np.tril(np.ones((length, length), bool)))
        for i in range(self.num_layers):
            block = EncoderBlock(
                self.num_heads,
                self.d_ff,
                activation=self.activation,
                epsilon=self.epsilon,
                name=f"block_{i}",
            )
            x = block(x, causal)
        x = nn.LayerNorm(self.epsilon, name="final_norm")(x)
        end = jnp.argmax(token_ids)
        return nn.Dense(self.output_dim, use_bias=False, name="projection")(x[end])


def _positions(module: nn.Module, shape: tuple[int, ...]) -> Float[Array, "N+1 D"]:
    """The position table; a table of another length gives an error in the user's terms."""
    if module.has_variable("params", "positions"):
        held = module.get_variable("params", "positions").shape
        if held != shape:
            raise ValueError(
                f"the position table is for {held[0] - 1} patches, the image has {shape[0] - 1}: "
                f"resize the image"
            )
    return module.param("positions", nn.initializers.normal(0.02), shape)

"""Attention by cuDNN's fused kernel: where it is there, and the sizes that it takes.

Through ``jax.nn.dot_product_attention``.  That refuses two kinds of sizes that Vision Transformers
have: heads whose channels are no multiple of 8, and, where gradients are wanted, an odd number of
tokens (65 of CIFAR-10, 197 of ImageNet, each with its CLS token).  Both are filled up with zeros.
Zero channels add nothing to a score, as the scale stays that of the true size; the token that was
added is hidden from the others, and is cut off again.

On an H200 models with 65 tokens (filled up) and with 64 were trained, heads of 64 channels each;
heads that have to be filled up were not tried there.

Source: ``check_is_flash_attention`` in JAX's ``fused_attention_stablehlo.py``; it counts a bias
also where there is none, so the rule for odd numbers of tokens with a bias holds for all of them.
"""

from __future__ import annotations

from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

Kernel = Literal["cudnn", "xla"]
"""As ``implementation`` in ``jax.nn.dot_product_attention``."""

_CHANNELS_MULTIPLE, _MOST_CHANNELS, _TOKENS_MULTIPLE = 8, 128, 2
_AMPERE = 8.0


def compute_capability() -> float:
    """Of an NVIDIA GPU, 8.0 for one of the generation Ampere; 0 for all other devices.

    Source: NVIDIA, "CUDA GPU Compute Capability".
    """
    told = getattr(jax.local_devices()[0], "compute_capability", None)
    try:
        return float(told) if told is not None else 0.0
    except ValueError:  # AMD's are named
        return 0.0


def has_bfloat16() -> bool:
    """Whether the device gains from bfloat16: accelerators do, but for NVIDIA's before Ampere."""
    return jax.default_backend() != "cpu" and not 0 < compute_capability() < _AMPERE


def fuses_attention(dtype: Any, channels: int) -> bool:
    """Whether cuDNN's kernel is there for heads of this type and size."""
    is_there = compute_capability() >= _AMPERE and dtype == jnp.bfloat16
    return is_there and channels <= _MOST_CHANNELS


def attend(
    query: Float[Array, "T H d"],
    key: Float[Array, "T H d"],
    value: Float[Array, "T H d"],
    kernel: Kernel,
    mask: Bool[Array, "T T"] | None = None,
    scale: float | None = None,
) -> Float[Array, "T H d"]:
    """Values averaged with ``softmax(query · key · scale)``, as in problem 40.

    Args:
      query: of each token and head.
      key: likewise.
      value: likewise.
      kernel: whose formulas; both take the same sizes.
      mask: True where the query (row) may attend to the key (column); None: everywhere.
      scale: None: 1 / √d.

    """
    tokens, heads, channels = query.shape
    spare = -tokens % _TOKENS_MULTIPLE
    room = ((0, spare), (0, 0), (0, -channels % _CHANNELS_MULTIPLE))
    padded = [jnp.pad(part, room)[None] for part in (query, key, value)]
    lengths = None
    if spare and mask is None:
        lengths = _lengths(query)
    elif mask is not None:
        mask = jnp.pad(mask, ((0, spare), (0, spare)))
        mask = jnp.tile(mask, (1, heads, 1, 1))  # ``vmap`` of jax 0.12 wants it for each head
    mixed = jax.nn.dot_product_attention(
        *padded,
        mask=mask,
        scale=channels**-0.5 if scale is None else scale,
        query_seq_lengths=lengths,
        key_value_seq_lengths=lengths,
        implementation=kernel,
    )
    return mixed[0, :tokens, :, :channels]


def _lengths(query: Float[Array, "T H d"]) -> Int[Array, "1"]:
    """The number of tokens, as an array that ``vmap`` maps together with ``query``.

    jax 0.10 cannot give one number to all images of a batch.
    """
    return len(query) + 0 * jnp.isnan(query[:1, 0, 0]).astype(jnp.int32)

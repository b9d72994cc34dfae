"""How concentrated the attention of the CLS token is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from solutions.registers.capture import Layers


@dataclass(frozen=True)
class ClassAttention:
    """The attention of CLS by layer and head, averaged over images.

    Attributes:
      entropy: (L, H), in nats, of the attention among the patches (scaled to add up to 1);
        between 0 (one patch has it all) and ``log N`` (all patches have the same).
      maximum: (L, H), the largest share that one patch has of it.
      on_patches, on_registers, on_itself: (L, H), where the attention goes; they add up to 1.

    """

    entropy: Float[np.ndarray, "L H"]
    maximum: Float[np.ndarray, "L H"]
    on_patches: Float[np.ndarray, "L H"]
    on_registers: Float[np.ndarray, "L H"]
    on_itself: Float[np.ndarray, "L H"]


def entropy(probabilities: Float[np.ndarray, "*axes N"]) -> Float[np.ndarray, "*axes"]:
    """``−Σ p log p`` over the last axis, in nats; ``0 log 0`` is 0."""
    logs = np.log(probabilities, out=np.zeros_like(probabilities), where=probabilities > 0)
    return -(probabilities * logs).sum(axis=-1)


def class_attention(layers: Layers) -> ClassAttention:
    """Describe what CLS attends to in every layer.

    Args:
      layers: of a model with a CLS token.

    Raises:
      ValueError: the model has no CLS token.

    """
    rows = layers.rows
    if rows.cls is None:
        raise ValueError("this model has no CLS token")
    attention = layers.attention[:, :, :, rows.cls].astype(np.float64)
    patches = attention[..., rows.patches]
    on_patches = patches.sum(axis=-1)
    shares = patches / on_patches[..., None]

    def over_images(x: Float[np.ndarray, "L B H"]) -> Float[np.ndarray, "L H"]:
        return x.mean(axis=1)

    return ClassAttention(
        entropy=over_images(entropy(shares)),
        maximum=over_images(shares.max(axis=-1)),
        on_patches=over_images(on_patches),
        on_registers=over_images(attention[..., rows.registers].sum(axis=-1)),
        on_itself=over_images(attention[..., rows.cls]),
    )

"""What happens to a batch inside the jitted step: shift, flip, normalise, Mixup, CutMix.

Nothing here repeats until something comes out, as ``jax.random.beta`` does: on a GPU every turn of
such a loop waits for the host to see its condition.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8

_QUANTILES = 4096


def normalize(
    images: UInt8[Array, "B H W C"], mean: Sequence[float], std: Sequence[float]
) -> Float[Array, "B H W C"]:
    """Each channel with mean 0 and standard deviation 1; ``mean`` and ``std`` on 0 to 255."""
    return (images.astype(jnp.float32) - jnp.array(mean)) / jnp.array(std)


def shift_and_flip(
    images: UInt8[Array, "B H W C"], key: Array, shift: int, flip: bool
) -> UInt8[Array, "B H W C"]:
    """Move every image by up to ``shift`` pixels each way, and with ``flip`` mirror half of them.

    What comes in at the border is what is there, reflected: a black frame would be the first
    thing that a small model learns.
    """
    shift_key, flip_key = jax.random.split(key)
    if shift:
        _, height, width, channels = images.shape
        space = ((0, 0), (shift, shift), (shift, shift), (0, 0))
        padded = jnp.pad(images, space, mode="reflect")
        starts = jax.random.randint(shift_key, (len(images), 2), 0, 2 * shift + 1)

        def crop(image: Array, start: Array) -> Array:
            return jax.lax.dynamic_slice(image, (start[0], start[1], 0), (height, width, channels))

        images = jax.vmap(crop)(padded, starts)
    if flip:
        mirrored = jax.random.bernoulli(flip_key, 0.5, (len(images), 1, 1, 1))
        images = jnp.where(mirrored, images[:, :, ::-1], images)
    return images


def mix(
    images: Float[Array, "B H W C"], key: Array, mixup: float, cutmix: float
) -> tuple[Float[Array, "B H W C"], Int[Array, " B"], Float[Array, ""]]:
    """Mixup or CutMix of every image with another of the batch (by chance where both are on).

    The partners are the batch from its end: the epoch was shuffled already.

    References: Zhang et al. 2018, Mixup, arXiv 1710.09412; Yun et al. 2019, CutMix,
    arXiv 1905.04899.

    Args:
      images: of one batch.
      key: of this batch.
      mixup: both parameters of the beta distribution that the share is drawn from; 0 turns it off.
      cutmix: likewise; one of the two is on.

    Returns:
      The images, for each the row of its partner, and the share that is its own.

    """
    share_key, which_key, place_key = jax.random.split(key, 3)
    partner = jnp.arange(len(images))[::-1]
    others = images[::-1]
    blended, blended_share = _mixup(images, others, share_key, mixup)
    pasted, pasted_share = _cutmix(images, others, share_key, place_key, cutmix)
    if not cutmix:
        return blended, partner, blended_share
    if not mixup:
        return pasted, partner, pasted_share
    first = jax.random.bernoulli(which_key)
    images = jnp.where(first, blended, pasted)
    return images, partner, jnp.where(first, blended_share, pasted_share)


def _mixup(images: Array, others: Array, key: Array, alpha: float) -> tuple[Array, Array]:
    share = _drawn_share(key, alpha)
    return share * images + (1 - share) * others, share


def _cutmix(
    images: Array, others: Array, key: Array, place_key: Array, alpha: float
) -> tuple[Array, Array]:
    """Paste a rectangle of the other; the share counts the pixels that are really left."""
    height, width = images.shape[1:3]
    cut = jnp.sqrt(1 - _drawn_share(key, alpha))
    middle = jax.random.uniform(place_key, (2,)) * jnp.array([height, width])
    half = cut * jnp.array([height, width]) / 2
    low, high = jnp.round(middle - half), jnp.round(middle + half)
    rows, columns = jnp.arange(height), jnp.arange(width)
    inside = ((rows >= low[0]) & (rows < high[0]))[:, None] & (
        (columns >= low[1]) & (columns < high[1])
    )
    return jnp.where(inside[..., None], others, images), 1 - inside.mean()


def _drawn_share(key: Array, alpha: float) -> Float[Array, ""]:
    """From Beta(alpha, alpha), by its quantiles; between two of them the line."""
    from scipy.special import betaincinv

    quantiles = betaincinv(alpha or 1.0, alpha or 1.0, np.linspace(0, 1, _QUANTILES + 1))
    place = _QUANTILES * jax.random.uniform(key)
    below = place.astype(jnp.int32)
    low, high = jnp.asarray(quantiles, jnp.float32)[below + jnp.arange(2)]
    return low + (place - below) * (high - low)

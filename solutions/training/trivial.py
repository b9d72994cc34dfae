"""TrivialAugment: one change of each image, drawn by chance, as strong as chance has it.

Müller and Hutter 2021, arXiv 2103.10158, with the strengths of their space "RA", without sharpness
and equalisation.  Grey is the mean of the channels.  What comes in at the border is what is there,
reflected, as in `augment`.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Array, Float, Int, UInt8

_MOVES = {"shear x": 0.3, "shear y": 0.3, "shift x": 10 / 32, "shift y": 10 / 32, "rotate": 30.0}
"""The largest of each; shifts as a share of the side, rotations in degrees."""
_COLOURS = ("brightness", "contrast", "colour", "posterise", "solarise", "autocontrast")
_ENHANCEMENT, _BITS_LOST = 0.9, 4
CHANGES = ("nothing", *_MOVES, *_COLOURS)


def trivial_augment(images: UInt8[Array, "B H W C"], key: Array) -> UInt8[Array, "B H W C"]:
    """Each image with one of `CHANGES`."""
    return jax.vmap(changed)(images, *drawn(len(images), key))


def drawn(count: int, key: Array) -> tuple[Int[Array, " B"], Float[Array, " B"]]:
    """Which change, and how strong, for each of so many images."""
    which_key, strength_key = jax.random.split(key)
    which = jax.random.randint(which_key, (count,), 0, len(CHANGES))
    return which, jax.random.uniform(strength_key, (count,), minval=-1)


def changed(image: UInt8[Array, "H W C"], which: Array, strength: Array) -> UInt8[Array, "H W C"]:
    """An image with one change.

    Args:
      image: pixels from 0 to 255.
      which: index into `CHANGES`, ().
      strength: from -1 to 1, (); where a change has two directions, the sign is the direction.

    """
    moves = jnp.array([CHANGES.index(name) for name in _MOVES])
    amounts = jnp.where(which == moves, strength, 0) * jnp.array(list(_MOVES.values()))
    pixels = _moved(image.astype(jnp.float32), *amounts)
    for name, coloured in _coloured(pixels, strength).items():
        pixels = jnp.where(which == CHANGES.index(name), coloured, pixels)
    return pixels.round().clip(0, 255).astype(jnp.uint8)


def _moved(
    pixels: Float[Array, "H W C"],
    shear_x: Array,
    shear_y: Array,
    shift_x: Array,
    shift_y: Array,
    degrees: Array,
) -> Float[Array, "H W C"]:
    """Each pixel from where the map around the middle of the image points to, between pixels."""
    height, width, _ = pixels.shape
    angle = jnp.deg2rad(degrees)
    turned = jnp.array([[jnp.cos(angle), -jnp.sin(angle)], [jnp.sin(angle), jnp.cos(angle)]])
    matrix = turned @ jnp.array([[1.0, shear_y], [shear_x, 1.0]])
    middle = jnp.array([height - 1, width - 1])[:, None, None] / 2
    places = jnp.mgrid[:height, :width] - middle
    rows, columns = jnp.einsum("ij,jhw->ihw", matrix, places) + middle
    source = [rows + shift_y * height, columns + shift_x * width]

    def one(channel: Array) -> Array:
        return map_coordinates(channel, source, order=1, mode="mirror")

    return jax.vmap(one, in_axes=-1, out_axes=-1)(pixels)


def _coloured(pixels: Float[Array, "H W C"], strength: Array) -> dict[str, Array]:
    grey = pixels.mean(axis=-1, keepdims=True)
    factor, size = 1 + _ENHANCEMENT * strength, jnp.abs(strength)
    step = 2.0 ** jnp.round(_BITS_LOST * size)
    darkest, brightest = pixels.min(axis=(0, 1)), pixels.max(axis=(0, 1))
    return {
        "brightness": factor * pixels,
        "contrast": grey.mean() + factor * (pixels - grey.mean()),
        "colour": grey + factor * (pixels - grey),
        "posterise": jnp.floor(pixels / step) * step,
        "solarise": jnp.where(pixels >= 256 * (1 - size), 255 - pixels, pixels),
        "autocontrast": jnp.where(
            brightest > darkest,
            255 * (pixels - darkest) / jnp.maximum(brightest - darkest, 1),
            pixels,
        ),
    }

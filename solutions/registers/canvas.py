"""Images with a known box: a small image pasted somewhere on an empty canvas."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from solutions.registers.boxes import Box


def paste(
    images: Float[np.ndarray, "B h w C"],
    size: tuple[int, int],
    seed: int = 0,
    background: float = 0.0,
) -> tuple[Float[np.ndarray, "B H W C"], list[Box]]:
    """Put each image at a random place on a canvas.

    Args:
      images: (B, h, w, C); what is above 0 in any channel is the object.
      size: (H, W) of the canvas, at least as large as the images.
      seed: of the places, and of the noise.
      background: noise is drawn for every pixel of the canvas, evenly from 0 to this; the
        object covers it.

    Returns:
      The canvases (B, H, W, C), and for each the tight box of its object, in pixels
      (top, left, bottom, right), bottom and right not included.

    Raises:
      ValueError: an image is larger than the canvas, or empty.

    """
    count, height, width, channels = images.shape
    if height > size[0] or width > size[1]:
        raise ValueError(f"{height} × {width} does not fit on {size[0]} × {size[1]}")
    generator = np.random.default_rng(seed)
    shape = (count, *size, channels)
    canvases = generator.uniform(0, background, shape) if background else np.zeros(shape)
    boxes: list[Box] = []
    for canvas, image in zip(canvases, images, strict=True):
        drawn = (image > 0).any(axis=-1)
        if not drawn.any():
            raise ValueError("an image without anything above 0 has no box")
        top = int(generator.integers(size[0] - height + 1))
        left = int(generator.integers(size[1] - width + 1))
        place = canvas[top : top + height, left : left + width]
        place[drawn] = image[drawn]
        rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
        first, last = (rows[0], columns[0]), (rows[-1] + 1, columns[-1] + 1)
        boxes.append(
            (top + int(first[0]), left + int(first[1]), top + int(last[0]), left + int(last[1]))
        )
    return canvases.astype(images.dtype), boxes

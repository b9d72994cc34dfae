"""One image from the bytes of a file."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np

from solutions.training.data import BadData
from solutions.training.one_line import one_line


def decode(encoded: bytes, where: str, size: int | None = None) -> np.ndarray:
    """One image (H, W, C) uint8, C 1 for grey ones and 3 for all others.

    Args:
      encoded: the bytes of a file.
      where: for the message.
      size: side to resize to; the larger middle square is taken.

    Raises:
      BadData: this is no image.

    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    # Large photos are no attack. `catch_warnings` does not know threads, and these are several.
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            image.load()  # what follows the pixels is read with them; TIFF is turned here, too
            turn = image.getexif().get(_ORIENTATION)
            wanted = _plain(image)
    except UnidentifiedImageError:
        raise BadData(f"{where}: this is no image, or of a kind that cannot be read") from None
    except Exception as error:  # damaged files raise almost anything
        raise BadData(f"{where}: this is no readable image ({one_line(error)})") from None
    if wanted is None:
        raise BadData(f"{where}: its values have 32 bits; images of 8 or 16 bits can be read")
    if turn in _UPRIGHT:
        wanted = wanted.transpose(Image.Transpose[_UPRIGHT[turn]])
    if size is not None and wanted.size != (size, size):
        wanted = ImageOps.fit(wanted, (size, size), Image.Resampling.BICUBIC)
    array = np.asarray(wanted)
    return array[..., None] if array.ndim == 2 else array


_ORIENTATION = 0x0112
_UPRIGHT = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""What turns an image upright, by the number that Exif keeps; 1 is upright.

Pillow's ``exif_transpose`` does the same, but writes all of Exif anew, which fails for photos with
tags of another type than Exif says, and it finds nothing in an image that was converted.

Source: CIPA DC-008 (Exif 2.32), tag Orientation.
"""


def _plain(image: Any) -> Any:
    """On white where it is transparent, grey or RGB with 8 bits; None with 32 bits."""
    from PIL import Image

    if image.mode == "F" or (image.mode == "I" and image.format != "PNG"):
        return None
    if image.mode[0] == "I":  # PNG has no more than 16 bits
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    grey = image.mode in ("1", "L", "LA")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("L" if grey else "RGB")

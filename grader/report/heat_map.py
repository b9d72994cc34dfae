"""Arrays as small pictures: SVG cells with their numbers, or a PNG where there are many."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

_CELL = 54
_FITS = 7
"""Characters in a cell."""
_LINE = 26
_MOST_COLUMNS = 12
_MOST_ROWS = 16
_LOW, _MIDDLE, _HIGH = (45, 98, 181), (246, 245, 242), (196, 62, 46)
_BRIGHT_STOPS = ((13, 8, 55), (130, 37, 129), (229, 92, 48), (252, 225, 120))
_NOT_FINITE = (150, 150, 150)


def signed_map(values: np.ndarray, limit: float, title: str) -> Markup:
    """A matrix in colours from blue (``-limit``) through white to red (``limit``)."""
    if values.shape[0] <= _MOST_ROWS and values.shape[1] <= _MOST_COLUMNS:
        return _cells(values, limit, title)
    return picture(_signed_colours(values, limit), title)


def limit_of(*arrays: np.ndarray | None) -> float:
    """The largest finite magnitude among arrays; 1 where there is none."""
    finite = [np.abs(a[np.isfinite(a)]) for a in arrays if a is not None]
    return max((float(a.max()) for a in finite if a.size), default=0.0) or 1.0


def weights_map(values: np.ndarray, limit: float, title: str) -> Markup:
    """Weights from 0 (dark) to ``limit`` (bright)."""
    share = np.clip(np.nan_to_num(values) / limit, 0, 1) * (len(_BRIGHT_STOPS) - 1)
    stops = np.array(_BRIGHT_STOPS, float)
    low = np.minimum(share.astype(int), len(stops) - 2)
    part = (share - low)[..., None]
    return picture(stops[low] * (1 - part) + stops[low + 1] * part, title)


def picture(colours: np.ndarray, title: str) -> Markup:
    """An (H, W, 3) array of 0 to 255 as an image, its pixels kept sharp."""
    data = base64.b64encode(png(np.rint(colours).clip(0, 255).astype(np.uint8))).decode()
    return Markup('<img class="map" alt="{0}" title="{0}" src="data:image/png;base64,{1}">').format(
        title, data
    )


def png(pixels: np.ndarray) -> bytes:
    """An (H, W, 3) array of bytes as a PNG file."""
    height, width, _ = pixels.shape
    raw = b"".join(b"\0" + row.tobytes() for row in np.ascontiguousarray(pixels))

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(raw, 9)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _signed_colours(values: np.ndarray, limit: float) -> np.ndarray:
    share = np.clip(np.nan_to_num(values, posinf=limit, neginf=-limit) / limit, -1, 1)[..., None]
    middle = np.array(_MIDDLE, float)
    side = np.where(share < 0, np.array(_LOW, float), np.array(_HIGH, float))
    colours: np.ndarray = middle + (side - middle) * np.abs(share)
    colours[np.isnan(values)] = _NOT_FINITE
    return colours


def _cells(values: np.ndarray, limit: float, title: str) -> Markup:
    rows, columns = values.shape
    width, height = columns * _CELL, rows * _LINE
    colours = np.rint(_signed_colours(values, limit)).astype(int)
    body = Markup("").join(
        _cell(r, c, float(values[r, c]), colours[r, c].tolist())
        for r in range(rows)
        for c in range(columns)
    )
    return Markup(
        '<svg class="cells" role="img" aria-label="{0}" viewBox="0 0 {1} {2}" width="{1}" '
        'height="{2}" xmlns="http://www.w3.org/2000/svg">{3}</svg>'
    ).format(title, width, height, body)


def _cell(row: int, column: int, value: float, colour: Sequence[int]) -> Markup:
    dark = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] < 140
    return Markup(
        '<rect x="{0}" y="{1}" width="{2}" height="{3}" fill="rgb({4},{5},{6})"/>'
        '<text x="{7}" y="{8}" fill="{9}">{10}</text>'
    ).format(
        column * _CELL,
        row * _LINE,
        _CELL - 1,
        _LINE - 1,
        *colour,
        column * _CELL + _CELL / 2,
        row * _LINE + _LINE * 0.66,
        "#fff" if dark else "#111",
        _short(value),
    )


def _short(value: float) -> str:
    """A number as it fits into a cell: about seven characters."""
    text = f"{value:.0f}" if 1e3 <= abs(value) < 1e6 else f"{value:.3g}"
    if len(text) <= _FITS:
        return text
    digits, _, power = f"{value:.1e}".partition("e")
    return f"{digits}e{int(power)}"

"""Messages between judge and worker: a length-prefixed JSON header and raw array bytes.

No pickle and no objects.  Whatever arrives is checked before it is used; a message that does
not fit raises ``WireError``, and the judge treats its sender as lost.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

MAX_HEADER = 4 * 2**20
MAX_BODY = 64 * 2**20
MAX_ARRAYS = 50_000
"""The largest message of the shipped problems has 0.2 MB."""
_PREFIX = struct.Struct(">II")
_NAMES = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float64 complex128"
_DTYPES = {name: np.dtype(name) for name in _NAMES.split()}
_SENT = frozenset(_DTYPES.values())


class WireError(Exception):
    """The other side sent something that is no message."""


class HungUp(WireError):
    """The other side is gone."""


def sendable(array: np.ndarray) -> np.ndarray:
    """An array of numbers as one of the types that messages know; the wider one holds it exactly.

    Raises:
      TypeError, ValueError: it does not hold numbers.

    """
    if array.dtype in _SENT:
        return array
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)


def pack(header: dict[str, Any], arrays: Sequence[np.ndarray] = ()) -> bytes:
    """The bytes of one message."""
    described = [[array.dtype.name, list(array.shape)] for array in arrays]
    head = json.dumps({**header, "arrays": described}).encode()
    body = b"".join([array.tobytes() for array in arrays])
    return _PREFIX.pack(len(head), len(body)) + head + body


def send(fd: int, header: dict[str, Any], arrays: Sequence[np.ndarray] = ()) -> None:
    """Write one message to ``fd``."""
    view = memoryview(pack(header, arrays))
    while view:
        view = view[os.write(fd, view[: 2**20]) :]


def receive(fd: int) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Read one message from ``fd``."""
    head_size, body_size = _PREFIX.unpack(_read_all(fd, _PREFIX.size))
    if head_size > MAX_HEADER or body_size > MAX_BODY:
        size = (head_size + body_size) / 2**20
        raise WireError(f"a message of {size:,.0f} MiB is larger than allowed")
    try:
        header = json.loads(_read_all(fd, head_size))
        described = header.pop("arrays")
        if len(described) > MAX_ARRAYS:
            raise ValueError("too many arrays")
        specs = [(_DTYPES[name], _checked_shape(shape)) for name, shape in described]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WireError("a message has a malformed header") from error
    if sum(dtype.itemsize * prod(shape) for dtype, shape in specs) != body_size:
        raise WireError("a message's arrays do not have the size that its header states")
    body = _read_all(fd, body_size)
    arrays, offset = [], 0
    for dtype, shape in specs:
        count = prod(shape)
        arrays.append(np.frombuffer(body, dtype, count, offset).reshape(shape))
        offset += count * dtype.itemsize
    return header, arrays


def _checked_shape(shape: Any) -> tuple[int, ...]:
    if len(shape) > 32 or not all(type(n) is int and 0 <= n < 2**31 for n in shape):
        raise ValueError("not a shape")
    return tuple(shape)


def _read_all(fd: int, size: int) -> bytearray:
    data = bytearray()
    while len(data) < size:
        chunk = os.read(fd, min(size - len(data), 2**20))
        if not chunk:
            raise HungUp("the other side hung up")
        data += chunk
    return data

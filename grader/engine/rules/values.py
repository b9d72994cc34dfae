"""How the values of a jaxpr are held in NumPy.

Floating point is held as float64 and complex as complex128, whatever width the jaxpr names.
Integers and booleans keep their dtype. An array of PRNG keys is held as an array of the same
logical shape whose elements are the raw words of one key (uint64 for the two words of a
threefry key, a void dtype for longer keys), so that every shape rule works on keys unchanged.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_WORD = np.dtype(np.uint32)
_MOST_WRITTEN = 64
"""Nobody writes more numbers by hand."""

_LARGEST = float(np.finfo(np.float32).max)
_ODD = 0x9E3779B97F4A7C15


@cache
def is_key(dtype: Any) -> bool:
    """Whether a jaxpr dtype is an array-of-PRNG-keys dtype."""
    return bool(jnp.issubdtype(dtype, jax.dtypes.prng_key))


def is_threefry(dtype: Any) -> bool:
    """Whether a key dtype belongs to JAX's default generator."""
    return bool(dtype.name == "key<fry>")


@cache
def held_dtype(dtype: Any) -> np.dtype[Any]:
    """The NumPy dtype that holds values of a jaxpr dtype."""
    if is_key(dtype):
        return np.dtype(np.uint64) if dtype.itemsize == 8 else np.dtype(f"V{dtype.itemsize}")
    if jnp.issubdtype(dtype, np.floating):
        return np.dtype(np.float64)
    if jnp.issubdtype(dtype, np.complexfloating):
        return np.dtype(np.complex128)
    same: np.dtype[Any] = np.dtype(dtype)
    return same


def words_from_keys(keys: Any) -> np.ndarray:
    """The uint32 words of held keys: shape `keys.shape + (words,)`."""
    held = np.asarray(keys)
    return np.ascontiguousarray(held.reshape((*held.shape, 1))).view(_WORD)


def keys_from_words(words: Any) -> np.ndarray:
    """Held keys from uint32 words of shape `(..., words)`."""
    held = np.ascontiguousarray(words, dtype=_WORD)
    size = held.shape[-1]
    dtype = np.dtype(np.uint64) if size == 2 else np.dtype(f"V{4 * size}")
    return held.view(dtype).reshape(held.shape[:-1])


def hold(value: Any, aval: Any) -> np.ndarray:
    """Convert an outside value (array, scalar, key array) to the form held for `aval`.

    Keys may come as a jax key array, as uint32 words with a trailing axis, or already held.
    Raises ValueError when the shape is not the one `aval` names.
    """
    dtype = held_dtype(aval.dtype)
    if is_key(aval.dtype):
        array = _hold_keys(value, dtype)
    else:
        array = np.asarray(value)
        if array.dtype != dtype:
            array = array.astype(dtype)
    if array.shape != aval.shape:
        raise ValueError(f"expected shape {tuple(aval.shape)}, got {array.shape}")
    return array


def as_written(value: Any) -> Any:
    """A constant that JAX keeps in float32 as whoever wrote it meant it, in float64.

    The same 0.999 stands in a jaxpr as Python's or as float32's, by what it was combined with.
    Where digits cancel (``1 - 0.999 ** t``) the two would differ, though in float32 they do not.
    The shortest decimal number of a float32 tells both as one.
    """
    if isinstance(value, float) or getattr(value, "dtype", None) != np.float32:
        return value
    if value.size > _MOST_WRITTEN:
        return value
    array = np.asarray(value)
    return np.array([_meant(number) for number in array.flat]).reshape(array.shape)


def _meant(number: np.float32) -> float:
    meant = float(str(number))
    return math.copysign(_LARGEST, meant) if _LARGEST < abs(meant) < math.inf else meant


def _hold_keys(value: Any, dtype: np.dtype[Any]) -> np.ndarray:
    if isinstance(value, jax.Array) and is_key(value.dtype):
        return keys_from_words(np.asarray(jax.random.key_data(value)))
    array = np.asarray(value)
    return array if array.dtype == dtype else keys_from_words(array)


def release(value: Any, aval: Any) -> np.ndarray:
    """The outside form of a held value: keys become uint32 words, the rest stays as it is."""
    return words_from_keys(value) if is_key(aval.dtype) else np.asarray(value)


def other_key(value: np.ndarray, number: int) -> np.ndarray:
    """A held value with other keys in the place of keys, typed or raw ones; else as it is."""
    if value.dtype == np.uint64:
        return value ^ np.uint64((number + 1) * _ODD % 2**64)
    if value.dtype == _WORD and value.shape[-1:] == (2,):
        return value ^ np.array([0, (number + 1) * _ODD % 2**32], _WORD)
    return value

"""JAX's default generator, threefry, bit for bit."""

from __future__ import annotations

import math
from typing import Any

import jax
import numpy as np

from grader.engine.rules.rule import Compute, Rule, always
from grader.engine.rules.values import is_threefry, keys_from_words, words_from_keys

_CONFIG: Any = jax.config
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = np.uint32(0x1BD11BDA)


def threefry(key_high: Any, key_low: Any, high: Any, low: Any) -> tuple[Any, Any]:
    """The threefry2x32 block cipher on broadcastable uint32 arrays."""
    schedule = (key_high, key_low, key_high ^ key_low ^ _PARITY)
    high = np.asarray(high + key_high)
    low = np.asarray(low + key_low)
    for block in range(5):
        for rotation in _ROTATIONS[block % 2]:
            high = high + low
            rotated = (low << np.uint32(rotation)) | (low >> np.uint32(32 - rotation))
            low = rotated ^ high
        high = high + schedule[(block + 1) % 3]
        low = low + schedule[(block + 2) % 3] + np.uint32(block + 1)
    return high, low


def _key_pair(keys: Any, rank: int) -> tuple[Any, Any]:
    """Both words of each key, with `rank` trailing axes of one to broadcast along."""
    words = words_from_keys(keys)
    room = (*words.shape[:-1], *(1,) * rank)
    return words[..., 0].reshape(room), words[..., 1].reshape(room)


def _halves(count: np.ndarray) -> tuple[Any, Any]:
    """The high and low words of uint64 numbers."""
    return (count >> np.uint64(32)).astype(np.uint32), count.astype(np.uint32)


def _in_sequence(keys: Any, size: int) -> np.ndarray:
    """The `size` words of each key in JAX's older, not partitionable order: keys x size."""
    padded = np.zeros(size + size % 2, np.uint32)
    padded[:size] = np.arange(size, dtype=np.uint32)
    first, second = np.split(padded, 2)
    high, low = threefry(*_key_pair(keys, 1), first, second)
    return np.concatenate([high, low], axis=-1)[..., :size]


def _random_bits(eqn: Any) -> Compute | None:
    if not is_threefry(eqn.invars[0].aval.dtype):
        return None
    width, shape = eqn.params["bit_width"], tuple(eqn.params["shape"])
    if _CONFIG.jax_threefry_partitionable:
        return _partitionable_bits(width, shape)
    return _sequential_bits(width, shape)


def _partitionable_bits(width: int, shape: tuple[int, ...]) -> Compute:
    size = math.prod(shape)
    dtype = np.dtype(f"u{width // 8}")

    def draw(keys: Any) -> Any:
        counts = np.arange(size, dtype=np.uint64).reshape(shape)
        high, low = threefry(*_key_pair(keys, len(shape)), *_halves(counts))
        if width == 64:
            return (high.astype(np.uint64) << np.uint64(32)) | low
        return (high ^ low).astype(dtype)

    return draw


def _sequential_bits(width: int, shape: tuple[int, ...]) -> Compute:
    size = math.prod(shape)
    words = -(-width * size // 32)

    def draw(keys: Any) -> Any:
        bits = _in_sequence(keys, words)
        if width == 64:
            high, low = np.split(bits, 2, axis=-1)
            drawn = (high.astype(np.uint64) << np.uint64(32)) | low
        else:
            # Least significant part first, which is the order in memory.
            drawn = np.ascontiguousarray(bits).view(f"<u{width // 8}")[..., :size]
        return drawn.reshape(np.shape(keys) + shape)

    return draw


def _random_split(eqn: Any) -> Compute | None:
    if not is_threefry(eqn.invars[0].aval.dtype):
        return None
    shape = tuple(eqn.params["shape"])
    size = math.prod(shape)

    def split_at_once(keys: Any) -> Any:
        words = _in_sequence(keys, 2 * size)
        return keys_from_words(words.reshape((*np.shape(keys), *shape, 2)))

    def split_by_place(keys: Any) -> Any:
        counts = np.arange(size, dtype=np.uint64).reshape(shape)
        pair = threefry(*_key_pair(keys, len(shape)), *_halves(counts))
        return keys_from_words(np.stack(pair, axis=-1))

    return split_by_place if _CONFIG.jax_threefry_partitionable else split_at_once


def _random_fold_in(eqn: Any) -> Compute | None:
    if not is_threefry(eqn.invars[0].aval.dtype):
        return None

    def fold_in(keys: Any, data: Any) -> Any:
        pair = threefry(*_key_pair(keys, 0), np.uint32(0), np.asarray(data).astype(np.uint32))
        return keys_from_words(np.stack(pair, axis=-1))

    return fold_in


def _random_seed(eqn: Any) -> Compute | None:
    if not is_threefry(eqn.outvars[0].aval.dtype):
        return None

    def seed(numbers: Any) -> Any:
        numbers = np.asarray(numbers)
        if numbers.dtype.itemsize == 8:
            return keys_from_words(np.stack(_halves(numbers.astype(np.uint64)), axis=-1))
        low = numbers.astype(np.uint32)
        return keys_from_words(np.stack([np.zeros_like(low), low], axis=-1))

    return seed


def _threefry2x32(eqn: Any) -> Compute:
    return lambda *words: list(threefry(*words))


RULES: dict[str, Rule] = {
    "random_seed": _random_seed,
    "random_wrap": always(keys_from_words),
    "random_unwrap": always(words_from_keys),
    "random_clone": always(lambda keys: keys),
    "random_split": _random_split,
    "random_fold_in": _random_fold_in,
    "random_bits": _random_bits,
    "threefry2x32": _threefry2x32,
}

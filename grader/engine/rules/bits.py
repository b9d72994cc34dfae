"""Bitwise operations, shifts, and changes of number format."""

from __future__ import annotations

from typing import Any

import numpy as np

from grader.engine.rules.rule import Compute, Rule, always
from grader.engine.rules.values import held_dtype, is_key


def _shift_right_logical(eqn: Any) -> Compute:
    dtype = np.dtype(eqn.invars[0].aval.dtype)
    if dtype.kind == "u":
        return np.right_shift
    unsigned = np.dtype(f"u{dtype.itemsize}")
    return lambda x, by: np.right_shift(x.astype(unsigned), by.astype(unsigned)).astype(dtype)


def _shift_right_arithmetic(eqn: Any) -> Compute:
    dtype = np.dtype(eqn.invars[0].aval.dtype)
    if dtype.kind == "i":
        return np.right_shift
    signed = np.dtype(f"i{dtype.itemsize}")
    return lambda x, by: np.right_shift(x.astype(signed), by.astype(signed)).astype(dtype)


def _count_leading_zeros(eqn: Any) -> Compute:
    dtype = np.dtype(eqn.invars[0].aval.dtype)
    width = 8 * dtype.itemsize
    unsigned = np.dtype(f"u{dtype.itemsize}")

    def count(x: Any) -> Any:
        smeared = np.asarray(x).astype(unsigned)
        step = 1
        while step < width:
            smeared = smeared | (smeared >> unsigned.type(step))
            step *= 2
        return (width - np.bitwise_count(smeared).astype(np.int64)).astype(dtype)

    return count


def _population_count(eqn: Any) -> Compute:
    dtype = np.dtype(eqn.invars[0].aval.dtype)
    unsigned = np.dtype(f"u{dtype.itemsize}")
    return lambda x: np.bitwise_count(x.astype(unsigned)).astype(dtype)


def _saturating_cast(dtype: np.dtype[Any]) -> Compute:
    """Float to integer as XLA does it: towards zero, clipped to the range, nan to zero."""
    limits = np.iinfo(dtype)
    # The largest 64-bit integers round up to a float that is already out of range.
    top = float(limits.max) if dtype.itemsize < 8 else np.nextafter(float(limits.max), 0.0)
    bottom = float(limits.min)

    def cast(x: Any) -> Any:
        in_range = np.minimum(np.maximum(np.where(np.isnan(x), 0.0, x), bottom), top)
        return np.where(x > top, limits.max, in_range.astype(dtype))

    return cast


def _convert_element_type(eqn: Any) -> Compute:
    given = held_dtype(eqn.invars[0].aval.dtype)
    wanted = held_dtype(eqn.params["new_dtype"])
    if given == wanted:
        return lambda x: x
    if given.kind == "c":
        convert_real = _cast(np.dtype(np.float64), wanted)
        return lambda x: convert_real(np.real(x))
    return _cast(given, wanted)


def _cast(given: np.dtype[Any], wanted: np.dtype[Any]) -> Compute:
    if given.kind == "f" and wanted.kind in "iu":
        return _saturating_cast(wanted)
    return lambda x: x.astype(wanted)


def _bitcast_convert_type(eqn: Any) -> Compute | None:
    """Reinterpret bits, going through the real width of both formats."""
    given, wanted = eqn.invars[0].aval.dtype, eqn.params["new_dtype"]
    if is_key(given) or is_key(wanted):
        return None
    shape, held = tuple(eqn.outvars[0].aval.shape), held_dtype(wanted)
    given, wanted = np.dtype(given), np.dtype(wanted)
    widening = given.itemsize < wanted.itemsize

    def reinterpret(x: Any) -> Any:
        exact = np.ascontiguousarray(np.asarray(x).astype(given))
        rows = exact if widening else exact.reshape((*exact.shape, 1))
        return rows.view(wanted).reshape(shape).astype(held)

    return reinterpret


RULES: dict[str, Rule] = {
    "and": always(np.bitwise_and),
    "or": always(np.bitwise_or),
    "xor": always(np.bitwise_xor),
    "not": always(np.invert),
    "shift_left": always(np.left_shift),
    "shift_right_logical": _shift_right_logical,
    "shift_right_arithmetic": _shift_right_arithmetic,
    "population_count": _population_count,
    "clz": _count_leading_zeros,
    "convert_element_type": _convert_element_type,
    "bitcast_convert_type": _bitcast_convert_type,
    "reduce_precision": always(lambda x: x),
}

"""Elementwise arithmetic, comparison and selection."""

from __future__ import annotations

from typing import Any

import numpy as np

from grader.engine.rules.overflow import limited
from grader.engine.rules.rule import Compute, Rule, always
from grader.engine.rules.values import held_dtype


def _is_integer(eqn: Any) -> bool:
    return held_dtype(eqn.invars[0].aval.dtype).kind in "iu"


def _integer_quotient(x: Any, y: Any) -> Any:
    """XLA's integer division: towards zero, all bits set for a zero divisor."""
    quotient = np.floor_divide(x, y)
    inexact = np.not_equal(quotient * y, x)
    truncated = quotient + (inexact & ((x < 0) != (y < 0)))
    return np.where(y == 0, np.array(-1).astype(quotient.dtype), truncated)


def _divide(eqn: Any) -> Compute:
    return _integer_quotient if _is_integer(eqn) else np.divide


def _integer_remainder(x: Any, y: Any) -> Any:
    return np.where(y == 0, x, np.fmod(x, y))


def _remainder(eqn: Any) -> Compute:
    return _integer_remainder if _is_integer(eqn) else np.fmod


def _power_by_squaring(base: Any, exponent: int) -> Any:
    result = None
    while True:
        if exponent & 1:
            result = base if result is None else result * base
        exponent >>= 1
        if not exponent:
            return result
        base = base * base


def _integer_pow(eqn: Any) -> Compute:
    exponent = eqn.params["y"]
    if exponent == 0:
        return np.ones_like
    if exponent < 0:
        return lambda x: np.reciprocal(_power_by_squaring(x, -exponent))
    return lambda x: _power_by_squaring(x, exponent)


def _multiply(eqn: Any) -> Compute:
    wanted = eqn.params.get("out_dtype")
    if wanted is None:
        return np.multiply
    dtype = held_dtype(wanted)
    return lambda x, y: np.multiply(x.astype(dtype), y.astype(dtype))


def _clamp(low: Any, x: Any, high: Any) -> Any:
    return np.minimum(np.maximum(x, low), high)


def _select_n(eqn: Any) -> Compute:
    shape = tuple(eqn.outvars[0].aval.shape)
    if eqn.invars[0].aval.dtype == np.bool_:
        if len(eqn.invars) == 2:
            return lambda which, only: only
        return lambda which, on_false, on_true: np.where(which, on_true, on_false)

    def select(which: Any, *cases: Any) -> Any:
        chosen = np.broadcast_to(cases[0], shape)
        for index, case in enumerate(cases[1:], start=1):
            chosen = np.where(which >= index, case, chosen)
        return chosen

    return select


def _polynomial(x: Any, *coefficients: Any) -> Any:
    """Horner's rule; the coefficient of the highest power comes last."""
    total = coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        total = coefficient + x * total
    return total


def _round(eqn: Any) -> Compute:
    if eqn.params["rounding_method"].name == "TO_NEAREST_EVEN":
        return np.rint
    return _round_away_from_zero


def _round_away_from_zero(x: Any) -> Any:
    whole = np.trunc(x)
    return np.where(np.abs(x - whole) >= 0.5, whole + np.copysign(1.0, x), whole)


def _nextafter(eqn: Any) -> Compute:
    # The neighbour of a number depends on its width, so the width of the jaxpr is used.
    dtype = eqn.invars[0].aval.dtype
    return lambda x, y: np.nextafter(x.astype(dtype), y.astype(dtype)).astype(np.float64)


def _complex(real: Any, imaginary: Any) -> Any:
    return real + 1j * np.asarray(imaginary)


RULES: dict[str, Rule] = {
    "add": always(np.add),
    "add_any": always(np.add),
    "sub": always(np.subtract),
    "mul": limited(_multiply),
    "div": _divide,
    "rem": _remainder,
    "neg": always(np.negative),
    "abs": always(np.abs),
    "sign": always(np.sign),
    "max": always(np.maximum),
    "min": always(np.minimum),
    "clamp": always(_clamp),
    "square": limited(always(np.square)),
    "integer_pow": limited(_integer_pow),
    "pow": limited(always(np.power)),
    "one_minus_square": always(lambda x: (1.0 + x) * (1.0 - x)),
    "polynomial": always(_polynomial),
    "sqrt": always(np.sqrt),
    "rsqrt": always(lambda x: np.reciprocal(np.sqrt(x))),
    "cbrt": always(np.cbrt),
    "floor": always(np.floor),
    "ceil": always(np.ceil),
    "round": _round,
    "nextafter": _nextafter,
    "is_finite": always(np.isfinite),
    "eq": always(np.equal),
    "ne": always(np.not_equal),
    "lt": always(np.less),
    "le": always(np.less_equal),
    "gt": always(np.greater),
    "ge": always(np.greater_equal),
    "select_n": _select_n,
    "complex": always(_complex),
    "real": always(np.real),
    "imag": always(np.imag),
    "conj": always(lambda x: np.conj(np.asarray(x, np.complex128))),
}

"""Elementwise primitives."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st
from jax import lax

from tests.engine.rules.cases import (
    ANY_INTEGERS,
    ANY_NUMBERS,
    BOOLEANS,
    COMPLEX,
    LENGTH,
    applied,
    applied_to_pair,
    case,
    floats,
    integers,
)

for primitive, function in {
    "neg": lax.neg,
    "sign": lax.sign,
    "square": lax.square,
}.items():
    case(primitive, applied(function, ANY_NUMBERS))
for primitive, function in {
    "sqrt": lax.sqrt,
    "rsqrt": lax.rsqrt,
    "cbrt": lax.cbrt,
    "floor": lax.floor,
    "ceil": lax.ceil,
    "is_finite": lax.is_finite,
    "exp": lax.exp,
    "exp2": lax.exp2,
    "expm1": lax.expm1,
    "log": lax.log,
    "log1p": lax.log1p,
    "logistic": lax.logistic,
    "sin": lax.sin,
    "cos": lax.cos,
    "tan": lax.tan,
    "asin": lax.asin,
    "acos": lax.acos,
    "atan": lax.atan,
    "sinh": lax.sinh,
    "cosh": lax.cosh,
    "tanh": lax.tanh,
    "asinh": lax.asinh,
    "acosh": lax.acosh,
    "atanh": lax.atanh,
    "erf": lax.erf,
    "erfc": lax.erfc,
    "bessel_i0e": lax.bessel_i0e,
    "bessel_i1e": lax.bessel_i1e,
}.items():
    case(primitive, applied(function, floats(odd=True)))
case("abs", applied(lax.abs, floats(odd=True) | integers(np.int32)))
NEXT_TO_ONE = st.just(np.full(LENGTH, np.nextafter(1.0, 0.0)))
case("erf_inv", applied(lax.erf_inv, floats(-1, 1) | NEXT_TO_ONE))
case("lgamma", applied(lax.lgamma, floats(0.1)))
case("digamma", applied(lax.digamma, floats(0.1)))
case("igamma", applied(lax.igamma, floats(0.1), floats(0.1)))
case("igammac", applied(lax.igammac, floats(0.1), floats(0.1)))
case("zeta", applied(lax.zeta, floats(1.5), floats(0.5)), tolerance=1e-9)
case(
    "regularized_incomplete_beta",
    applied(lax.betainc, floats(0.2), floats(0.2), floats(0.01, 0.99)),
    tolerance=1e-9,
)
for primitive, function in {
    "add": lax.add,
    "sub": lax.sub,
    "mul": lax.mul,
    "div": lax.div,
    "rem": lax.rem,
    "max": lax.max,
    "min": lax.min,
    "eq": lax.eq,
    "ne": lax.ne,
    "lt": lax.lt,
    "le": lax.le,
    "gt": lax.gt,
    "ge": lax.ge,
}.items():
    case(primitive, applied_to_pair(function, ANY_NUMBERS), count=30)
case("atan2", applied(lax.atan2, floats(odd=True), floats(odd=True)))
case("pow", applied(lax.pow, floats(odd=True), floats(odd=True)))
case("pow to integers", applied(lax.pow, floats(odd=True), integers(low=-4, high=4)), "pow")
case("mul wider", applied(partial(lax.mul, out_dtype=np.int32), *[integers(np.int8)] * 2), "mul")
case("clamp", applied(lax.clamp, floats(-3, 0), floats(odd=True), floats(0, 3)))
case("clamp to scalars", applied(lambda x: lax.clamp(-1.0, x, 1.0), floats(odd=True)), "clamp")
case("nextafter", applied(lax.nextafter, floats(odd=True), floats(odd=True)))
case("select_n", applied(lax.select_n, BOOLEANS, floats(), floats()))
case("select_n of one", applied(lax.select_n, BOOLEANS, floats()), "select_n")
case(
    "select_n of three",
    applied(lax.select_n, integers(np.int32, 0, 2), floats(), floats(), floats()),
    "select_n",
)
case("select_n by a scalar", applied(partial(lax.select_n, True), floats(), floats()), "select_n")
case(
    "round",
    st.sampled_from(list(lax.RoundingMethod)).flatmap(
        lambda method: applied(partial(lax.round, rounding_method=method), floats(odd=True))
    ),
)
case(
    "integer_pow",
    st.integers(-5, 7).flatmap(
        lambda y: applied(partial(lax.integer_pow, y=y), floats(odd=True) if y < 0 else ANY_NUMBERS)
    ),
    count=30,
)
case("complex", applied(lax.complex, floats(), floats()))
if hasattr(lax, "one_minus_square"):  # from jax 0.11 on
    case("one_minus_square", applied(lax.one_minus_square, floats(odd=True)))
    case("log2", applied(lax.log2, floats(0, 1e6, odd=True)))
if hasattr(lax, "polynomial"):  # from jax 0.12 on
    case(
        "polynomial",
        st.integers(3, 13).flatmap(
            lambda count: applied(lambda x, *a: lax.polynomial(x, a), *[floats(-2, 2)] * count)
        ),
    )
for primitive, function in {"real": lax.real, "imag": lax.imag, "conj": lax.conj}.items():
    case(primitive, applied(function, COMPLEX))
case(
    "complex arithmetic",
    applied(lambda x, y: (x * y, jnp.exp(x), jnp.abs(x)), COMPLEX, COMPLEX),
    "mul exp abs",
)
case("add_any", applied(jax.grad(lambda x: jnp.sum(x * jnp.sin(x))), floats()))

for primitive, function in {
    "and": lax.bitwise_and,
    "or": lax.bitwise_or,
    "xor": lax.bitwise_xor,
}.items():
    case(primitive, applied_to_pair(function, ANY_INTEGERS | BOOLEANS))
for primitive, function in {
    "not": lax.bitwise_not,
    "population_count": lax.population_count,
    "clz": lax.clz,
}.items():
    case(primitive, applied(function, ANY_INTEGERS))
for primitive, function in {
    "shift_left": lax.shift_left,
    "shift_right_logical": lax.shift_right_logical,
    "shift_right_arithmetic": lax.shift_right_arithmetic,
}.items():
    case(primitive, applied_to_pair(function, ANY_INTEGERS))
    case(
        f"{primitive} a little",
        applied(function, integers(np.int32), integers(np.int32, 0, 40)),
        primitive,
    )

DTYPES = [np.bool_, np.int8, np.uint8, np.int32, np.uint32, np.int64, np.uint64, np.float64]
WIDE_FLOATS = floats(-1e20, 1e20, odd=True) | floats(-1e10, 1e10) | floats(-300, 300, odd=True)
case(
    "convert_element_type",
    st.sampled_from(DTYPES).flatmap(
        lambda dtype: applied(
            partial(lax.convert_element_type, new_dtype=dtype), WIDE_FLOATS | ANY_INTEGERS | COMPLEX
        )
    ),
    count=60,
)
case(
    "reduce_precision",
    applied(partial(lax.reduce_precision, exponent_bits=11, mantissa_bits=52), floats()),
)


def _bitcast(_: Any, through: Any, wanted: Any) -> Callable[..., Any]:
    return lambda x: lax.bitcast_convert_type(x.astype(through), wanted)


case(
    "bitcast_convert_type",
    st.sampled_from(
        [
            (np.float64, np.float32, np.uint32),
            (np.float64, jnp.bfloat16, np.uint16),
            (np.float64, np.float64, np.int64),
            (np.float64, np.float32, np.uint8),
            (np.uint32, np.uint32, np.int32),
        ]
    ).flatmap(
        lambda kinds: applied(
            _bitcast(*kinds), floats() if kinds[0] is np.float64 else integers(np.uint32)
        )
    ),
    "bitcast_convert_type convert_element_type",
)
case(
    "bitcast_convert_type to floats",
    applied(
        lambda x: lax.bitcast_convert_type((x >> np.uint32(9)) | np.uint32(0x3F800000), np.float32),
        integers(np.uint32),
    ),
    "bitcast_convert_type",
)
case(
    "bitcast_convert_type to wider",
    applied(lambda x: lax.bitcast_convert_type(x.reshape(-1, 4), np.uint32), integers(np.uint8)),
    "bitcast_convert_type",
)

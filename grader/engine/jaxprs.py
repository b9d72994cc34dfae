"""Reading jaxprs: what an output needs, what it is made of, where it was written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jax.extend import core as jex

from grader.jaxprs import sub_jaxprs


def live_variables(jaxpr: Any, outputs: Sequence[Any] | None = None) -> set[Any]:
    """Every variable of ``jaxpr`` that one of its outputs (or of those given) depends on."""
    wanted = jaxpr.outvars if outputs is None else outputs
    live = {var for var in wanted if not isinstance(var, jex.Literal)}
    for eqn in reversed(jaxpr.eqns):
        if any(var in live for var in eqn.outvars):
            live.update(var for var in eqn.invars if not isinstance(var, jex.Literal))
    return live


_NARROW = {(8, 7): "bfloat16", (5, 10): "float16"}


def _rounded_to(eqn: Any) -> str:
    """The type whose digits are left of a float32 by ``lax.reduce_precision``, if not all are."""
    if eqn.primitive.name != "reduce_precision":
        return ""
    bits = eqn.params["exponent_bits"], eqn.params["mantissa_bits"]
    if bits[0] >= 8 and bits[1] >= 23:
        return ""
    return _NARROW.get(bits, f"float{1 + sum(bits)}")


def narrow_type(jaxpr: Any, wide: set[int] | None = None) -> str:
    """The name of a float type below 32 bits that live equations produce, or an empty text.

    ``wide`` are ids of jaxprs in which there is none: the same function is often called again.
    """
    wide = set() if wide is None else wide
    if id(jaxpr) in wide:
        return ""
    live = live_variables(jaxpr)
    for eqn in jaxpr.eqns:
        if not any(var in live for var in eqn.outvars):
            continue
        for var in eqn.outvars:
            name = str(getattr(var.aval, "dtype", ""))
            if name.startswith(("float16", "bfloat16", "float8", "float4")):
                return name
        if _rounded_to(eqn):
            return _rounded_to(eqn)
        if eqn.primitive.name != "linen_init":
            inner = next(filter(None, (narrow_type(sub, wide) for sub in sub_jaxprs(eqn))), "")
            if inner:
                return inner
    wide.add(id(jaxpr))
    return ""


def source_lines(eqn: Any, filename: str) -> list[int]:
    """The lines of ``filename`` that an equation stems from, innermost first."""
    traceback = eqn.source_info.traceback
    if traceback is None:
        return []
    return [frame.line_num for frame in traceback.frames if frame.file_name == filename]


_DRAWS = ("random_bits", "rng_bit_generator", "rng_uniform", "threefry2x32")


def random_line(jaxpr: Any, filename: str) -> int | None:
    """The line of ``filename`` that draws random numbers which an output depends on.

    What an ``init`` draws does not count.  None when nothing is drawn, 0 when the line is unknown.
    """
    live = live_variables(jaxpr)
    for eqn in jaxpr.eqns:
        if eqn.primitive.name == "linen_init" or not any(var in live for var in eqn.outvars):
            continue
        if eqn.primitive.name in _DRAWS:
            return next(iter(source_lines(eqn, filename)), 0)
        for inner in sub_jaxprs(eqn):
            line = random_line(inner, filename)
            if line is not None:
                return line or next(iter(source_lines(eqn, filename)), 0)
    return None


_KEEPS_THE_MAXIMUM = frozenset(
    "broadcast_in_dim reshape squeeze expand_dims transpose convert_element_type copy max select_n "
    "jit pjit".split()
)


def stops_gradients(jaxpr: Any) -> bool:
    """Whether a gradient is stopped somewhere, other than that of a maximum, as softmax does."""
    maxima: set[Any] = set()
    for eqn in jaxpr.eqns:
        name = eqn.primitive.name
        of_maximum = any(v in maxima for v in eqn.invars if not isinstance(v, jex.Literal))
        if name == "stop_gradient" and not of_maximum:
            return True
        if name == "reduce_max" or (name in _KEEPS_THE_MAXIMUM and of_maximum):
            maxima.update(eqn.outvars)
        if name != "linen_init" and any(map(stops_gradients, sub_jaxprs(eqn))):
            return True
    return False

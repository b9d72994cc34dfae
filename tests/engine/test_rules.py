"""Every NumPy rule against the primitive it stands for, on random inputs.

Both sides compute in float64 (JAX in its 64-bit mode), so that they must agree closely.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from jax import lax

from grader.engine.evaluate import Program
from grader.engine.rules import RULES

Drawn = tuple[Callable[..., Any], list[Any]]


class Case(NamedTuple):
    """One family of examples: a strategy for (function, arguments), and the rules it needs."""

    rules: frozenset[str]
    examples: st.SearchStrategy[Drawn]
    tolerance: float
    count: int


CASES: dict[str, Case] = {}


def case(
    name: str,
    examples: st.SearchStrategy[Drawn],
    rule: str = "",
    tolerance: float = 1e-11,
    count: int = 15,
) -> None:
    """Add a case; it is named like the rule it needs unless `rule` says otherwise."""
    CASES[name] = Case(frozenset((rule or name).split()), examples, tolerance, count)


# Elementwise primitives, on arrays of one length so that JAX compiles each only once.

LENGTH = 8
ODD_FLOATS = st.sampled_from([0.0, -0.0, 0.5, -2.5, math.inf, -math.inf, math.nan])


def floats(low: float = -10, high: float = 10, *, odd: bool = False) -> Any:
    usual = st.floats(low, high, allow_subnormal=False)
    return arrays(np.float64, LENGTH, elements=usual | ODD_FLOATS if odd else usual)


def integers(dtype: Any = np.int32, low: int | None = None, high: int | None = None) -> Any:
    limits = np.iinfo(dtype)
    low = limits.min if low is None else low
    high = limits.max if high is None else high
    corners = [x for x in (limits.min, -1, 0, 1, limits.max) if low <= x <= high]
    usual = st.integers(low, high)
    return arrays(dtype, LENGTH, elements=usual | st.sampled_from(corners) if corners else usual)


BOOLEANS = arrays(np.bool_, LENGTH)
COMPLEX = arrays(
    np.complex128, LENGTH, elements=st.complex_numbers(max_magnitude=9, allow_subnormal=False)
)
ANY_INTEGERS = st.sampled_from([np.int8, np.int32, np.int64, np.uint8, np.uint32]).flatmap(integers)
ANY_NUMBERS = floats(odd=True) | ANY_INTEGERS


def applied(function: Callable[..., Any], *arguments: Any) -> st.SearchStrategy[Drawn]:
    return st.tuples(st.just(function), st.tuples(*arguments).map(list))


def pairs(of: Any) -> Any:
    """Two arrays of one drawn dtype."""
    return of.flatmap(
        lambda x: st.permutations(list(range(LENGTH))).map(lambda order: (x, x[order]))
    )


def applied_to_pair(function: Callable[..., Any], of: Any) -> st.SearchStrategy[Drawn]:
    return st.tuples(st.just(function), pairs(of).map(list))


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


# Shapes.


def values(shape: tuple[int, ...], dtype: Any = np.float64) -> np.ndarray:
    """Distinct numbers in a scrambled order."""
    size = math.prod(shape)
    numbers = np.random.default_rng(size).permutation(size) - size // 3
    return (
        (numbers if dtype in (np.int32, np.int64) else numbers * 0.37).astype(dtype).reshape(shape)
    )


def shapes(min_dims: int = 0, max_dims: int = 3, min_side: int = 0) -> Any:
    return st.lists(st.integers(min_side, 4), min_size=min_dims, max_size=max_dims).map(tuple)


@st.composite
def reshapes(draw: Any) -> Drawn:
    shape = draw(shapes(1))
    new = draw(st.permutations(shape))
    order = draw(st.none() | st.permutations(range(len(shape))))
    return lambda x: lax.reshape(x, new, order), [values(shape)]


@st.composite
def transposes(draw: Any) -> Drawn:
    shape = draw(shapes(2))
    order = draw(st.permutations(range(len(shape))))
    return lambda x: lax.transpose(x, order), [values(shape)]


@st.composite
def broadcasts(draw: Any) -> Drawn:
    out = draw(shapes(1))
    axes = sorted(draw(st.sets(st.integers(0, len(out) - 1))))
    given_shape = tuple(draw(st.sampled_from([1, out[axis]])) for axis in axes)
    return lambda x: lax.broadcast_in_dim(x, out, axes), [values(given_shape)]


@st.composite
def iotas(draw: Any) -> Drawn:
    shape = draw(shapes(1))
    axis = draw(st.integers(0, len(shape) - 1))
    dtype = draw(st.sampled_from([np.int32, np.uint8, np.float64]))
    return lambda: lax.broadcasted_iota(dtype, shape, axis), []


@st.composite
def slices(draw: Any) -> Drawn:
    shape = draw(shapes(1))
    starts = [draw(st.integers(0, size)) for size in shape]
    stops = [draw(st.integers(start, size)) for start, size in zip(starts, shape, strict=True)]
    steps = draw(st.none() | st.lists(st.integers(1, 3), min_size=len(shape), max_size=len(shape)))
    return lambda x: lax.slice(x, starts, stops, steps), [values(shape)]


@st.composite
def pads(draw: Any) -> Drawn:
    shape = draw(shapes(1))
    config = []
    for size in shape:
        inside = draw(st.integers(0, 2))
        width = size + max(0, size - 1) * inside
        low = draw(st.integers(-width, 3))
        high = draw(st.integers(-(width + low), 3))
        config.append((low, high, inside))
    return lambda x, value: lax.pad(x, value, config), [values(shape), np.float64(7)]


@st.composite
def reversals(draw: Any) -> Drawn:
    shape = draw(shapes(1))
    axes = sorted(draw(st.sets(st.integers(0, len(shape) - 1), min_size=1)))
    return lambda x: lax.rev(x, axes), [values(shape)]


@st.composite
def joins(draw: Any) -> Drawn:
    shape = draw(shapes(1))
    axis = draw(st.integers(0, len(shape) - 1))
    count = draw(st.integers(1, 3))
    sides = [draw(st.integers(0, 3)) for _ in range(count)]
    parts = [values((*shape[:axis], side, *shape[axis + 1 :])) for side in sides]
    return lambda *xs: lax.concatenate(xs, axis), parts


@st.composite
def splits(draw: Any) -> Drawn:
    shape = list(draw(shapes(1)))
    axis = draw(st.integers(0, len(shape) - 1))
    sizes = draw(st.lists(st.integers(0, 3), min_size=1, max_size=3))
    shape[axis] = sum(sizes)
    return lambda x: lax.split(x, sizes, axis), [values(tuple(shape))]


@st.composite
def stacks(draw: Any) -> Drawn:
    shape = draw(shapes())
    axis = draw(st.integers(0, len(shape)))
    count = draw(st.integers(1, 3))
    return lambda *xs: jnp.stack(xs, axis), [values(shape) + i for i in range(count)]


@st.composite
def unstacks(draw: Any) -> Drawn:
    shape = draw(shapes(1, min_side=1))
    axis = draw(st.integers(0, len(shape) - 1))
    return lambda x: jnp.unstack(x, axis=axis), [values(shape)]


@st.composite
def tilings(draw: Any) -> Drawn:
    shape = draw(shapes(1))
    repeats = tuple(draw(st.integers(0, 3)) for _ in shape)
    return lambda x: lax.tile(x, repeats), [values(shape)]


case("reshape", reshapes())
case("transpose", transposes())
case("broadcast_in_dim", broadcasts(), count=30)
case(
    "broadcast_in_dim to many",
    applied(
        lambda x: jnp.broadcast_to(x, (LENGTH, 4, 1024, LENGTH)) + x[:, None, None, None], floats()
    ),
    "broadcast_in_dim",
    count=2,
)
case("iota", iotas())
case("squeeze", applied(lambda x: jnp.squeeze(x[None, :, None], 0), floats()))
case("slice", slices())
case("pad", pads(), count=40)
case("rev", reversals())
case("concatenate", joins())
case("split", splits())
case("stack", stacks())
case("unstack", unstacks())
case("tile", tilings())
case(
    "platform_index",
    applied(
        lambda x: (
            lax.platform_dependent(x, cpu=lambda x: x + 1, default=lambda x: x - 1),
            lax.platform_dependent(x, tpu=lambda x: x + 1, default=lambda x: x - 1),
        ),
        floats(),
    ),
    count=1,
)


# Reductions.

REDUCERS: dict[str, Callable[..., Any]] = {
    "reduce_sum": lax.reduce_sum,
    "reduce_prod": lax.reduce_prod,
    "reduce_max": lax.reduce_max,
    "reduce_min": lax.reduce_min,
    "reduce_and": lax.reduce_and,
    "reduce_or": lax.reduce_or,
    "reduce_xor": lax.reduce_xor,
}


@st.composite
def reductions(draw: Any, reducer: Callable[..., Any], dtypes: list[Any]) -> Drawn:
    shape = draw(shapes(1))
    axes = sorted(draw(st.sets(st.integers(0, len(shape) - 1))))
    x = values(shape, np.int64).astype(draw(st.sampled_from(dtypes)))
    return lambda x: reducer(x, axes), [x]


for primitive, function in REDUCERS.items():
    bitwise = primitive in ("reduce_and", "reduce_or", "reduce_xor")
    case(
        primitive,
        reductions(function, [np.int32, np.bool_] if bitwise else [np.float64, np.int32, np.uint8]),
    )


@st.composite
def positions(draw: Any, find: Callable[..., Any]) -> Drawn:
    shape = draw(shapes(1, min_side=1))
    axis = draw(st.integers(0, len(shape) - 1))
    index_dtype = draw(st.sampled_from([np.int32, np.uint8]))
    elements = st.sampled_from([-1.0, 0.0, 2.0, math.nan])
    x = draw(arrays(np.float64, shape, elements=elements))
    return lambda x: find(x, axis, index_dtype), [x]


case("argmax", positions(lax.argmax))
case("argmin", positions(lax.argmin))


@st.composite
def cumulations(draw: Any, function: Callable[..., Any], dtypes: list[Any]) -> Drawn:
    shape = draw(shapes(1))
    axis = draw(st.integers(0, len(shape) - 1))
    reverse = draw(st.booleans())
    return partial(function, axis=axis, reverse=reverse), [
        values(shape, draw(st.sampled_from(dtypes)))
    ]


for primitive in ("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp"):
    dtypes = [np.float64] if primitive == "cumlogsumexp" else [np.float64, np.int32]
    case(primitive, cumulations(getattr(lax, primitive), dtypes))


# Sorting.

TIED = st.sampled_from([-1.0, -0.0, 0.0, 2.0, math.inf, math.nan])


@st.composite
def sorts(draw: Any) -> Drawn:
    shape = draw(shapes(1, max_dims=2))
    axis = draw(st.integers(0, len(shape) - 1))
    keys = [draw(arrays(np.float64, shape, elements=TIED)) for _ in range(draw(st.integers(1, 2)))]
    columns = [*keys, values(shape)] if draw(st.booleans()) else keys
    return lambda *xs: lax.sort(xs, dimension=axis, num_keys=len(keys)), columns


@st.composite
def tops(draw: Any) -> Drawn:
    shape = draw(shapes(1, max_dims=2))
    axis = draw(st.integers(0, len(shape) - 1))
    count = draw(st.integers(0, shape[axis]))
    elements = st.sampled_from([-1.0, 0.0, 2.0, math.inf, math.nan])
    return lambda x: lax.top_k(x, count, axis=axis), [
        draw(arrays(np.float64, shape, elements=elements))
    ]


case("sort", sorts(), count=30)
case("top_k", tops(), count=30)


# Indexing.


@st.composite
def gather_numbers(draw: Any) -> Any:
    """Shapes and dimension numbers of a random gather, and its mode."""
    operand = draw(shapes(1, min_side=1))
    axes = range(len(operand))
    batch = draw(shapes(0, 2, min_side=1))
    batching: list[int] = []
    indices_batching: list[int] = []
    if batch and draw(st.booleans()):
        batching = [draw(st.sampled_from(axes))]
        indices_batching = [draw(st.integers(0, len(batch) - 1))]
        operand = tuple(
            batch[indices_batching[0]] if axis in batching else size
            for axis, size in enumerate(operand)
        )
    free = [axis for axis in axes if axis not in batching]
    mapped = draw(st.permutations(free))[: draw(st.integers(0 if batching else 1, len(free)))]
    collapsed = sorted(axis for axis in free if draw(st.booleans()))
    sizes = tuple(
        1 if axis in (*collapsed, *batching) else draw(st.integers(1, operand[axis]))
        for axis in axes
    )
    offset_count = len(operand) - len(collapsed) - len(batching)
    places = draw(st.permutations(range(len(batch) + offset_count)))
    mode = draw(st.sampled_from(["clip", "fill"]))
    return SimpleNamespace(
        operand=operand,
        indices=(*batch, len(mapped)),
        offset_dims=tuple(sorted(places[:offset_count])),
        collapsed=tuple(collapsed),
        mapped=tuple(mapped),
        batching=tuple(batching),
        indices_batching=tuple(indices_batching),
        sizes=sizes,
        mode=mode,
    )


@st.composite
def gathers(draw: Any) -> Drawn:
    numbers = draw(gather_numbers())
    dimension_numbers = lax.GatherDimensionNumbers(
        offset_dims=numbers.offset_dims,
        collapsed_slice_dims=numbers.collapsed,
        start_index_map=numbers.mapped,
        operand_batching_dims=numbers.batching,
        start_indices_batching_dims=numbers.indices_batching,
    )
    indices = draw(arrays(np.int32, numbers.indices, elements=st.integers(-2, 5)))
    dtype = draw(st.sampled_from([np.float64, np.int32, np.uint8, np.bool_]))
    fill = draw(st.sampled_from([None, 1]))
    return (
        lambda x, at: lax.gather(
            x, at, dimension_numbers, numbers.sizes, mode=numbers.mode, fill_value=fill
        ),
        [values(numbers.operand).astype(dtype), indices],
    )


@st.composite
def scatters(draw: Any, function: Callable[..., Any]) -> Drawn:
    numbers = draw(gather_numbers())
    dimension_numbers = lax.ScatterDimensionNumbers(
        update_window_dims=numbers.offset_dims,
        inserted_window_dims=numbers.collapsed,
        scatter_dims_to_operand_dims=numbers.mapped,
        operand_batching_dims=numbers.batching,
        scatter_indices_batching_dims=numbers.indices_batching,
    )
    window = iter(
        [
            size
            for axis, size in enumerate(numbers.sizes)
            if axis not in (*numbers.collapsed, *numbers.batching)
        ]
    )
    batch = iter(numbers.indices[:-1])
    rank = len(numbers.offset_dims) + len(numbers.indices) - 1
    updates = tuple(next(window if i in numbers.offset_dims else batch) for i in range(rank))
    indices = draw(arrays(np.int32, numbers.indices, elements=st.integers(-2, 5)))
    return (
        lambda x, at, update: function(x, at, update, dimension_numbers, mode=numbers.mode),
        [values(numbers.operand), indices, values(updates) + 0.5],
    )


case("gather", gathers(), count=35)
case("scatter", scatters(lax.scatter), count=25)
case("scatter-add", scatters(lax.scatter_add), count=25)
case("scatter-sub", scatters(lax.scatter_sub), count=10)
case("scatter-mul", scatters(lax.scatter_mul), count=10)
case("scatter-min", scatters(lax.scatter_min), count=10)
case("scatter-max", scatters(lax.scatter_max), count=10)
case(
    "scatter-add once",
    applied(lambda x: jnp.asarray(x).at[jnp.array([5, 2])].add(1.5, unique_indices=True), floats()),
    "scatter-add",
)


@st.composite
def dynamic_slices(draw: Any, *, update: bool) -> Drawn:
    shape = draw(shapes(1))
    sizes = tuple(draw(st.integers(0, size)) for size in shape)
    starts = [np.int32(draw(st.integers(-3, 6))) for _ in shape]
    if update:
        return (
            lambda x, y, *at: lax.dynamic_update_slice(x, y, at),
            [values(shape), values(sizes) + 0.5, *starts],
        )
    return lambda x, *at: lax.dynamic_slice(x, at, sizes), [values(shape), *starts]


case("dynamic_slice", dynamic_slices(update=False))
case("dynamic_update_slice", dynamic_slices(update=True))


# Linear maps.


@st.composite
def dots(draw: Any) -> Drawn:
    labels = {label: draw(st.integers(1, 4)) for label in range(draw(st.integers(1, 5)))}
    kinds = {label: draw(st.sampled_from(["batch", "sum", "left", "right"])) for label in labels}
    left = draw(st.permutations([label for label in labels if kinds[label] != "right"]))
    right = draw(st.permutations([label for label in labels if kinds[label] != "left"]))
    of_kind = {
        kind: [label for label in labels if kinds[label] == kind] for kind in ("sum", "batch")
    }
    numbers = tuple(
        tuple([side.index(label) for label in of_kind[kind]] for side in (left, right))
        for kind in ("sum", "batch")
    )
    dtype = draw(st.sampled_from([np.float64, np.int32]))
    x, y = (values(tuple(labels[label] for label in side), dtype) for side in (left, right))
    return lambda x, y: lax.dot_general(x, y, numbers), [x, y]


case("dot_general", dots(), count=25)
case(
    "dot_general wider",
    applied(
        lambda x, y: lax.dot(x, y, preferred_element_type=np.int32),
        integers(np.int8),
        integers(np.int8),
    ),
    "dot_general",
)


@st.composite
def convolutions(draw: Any) -> Drawn:
    rank = draw(st.integers(0, 2))
    split = draw(st.sampled_from([(1, 1), (1, 1), (2, 1), (1, 2)]))
    feature_groups, batch_groups = split
    inputs, outputs = (
        draw(st.integers(1, 3)),
        draw(st.integers(1, 2)) * feature_groups * batch_groups,
    )
    image = (
        draw(st.integers(1, 2)) * batch_groups,
        inputs * feature_groups,
        *(draw(st.integers(3, 6)) for _ in range(rank)),
    )
    kernel = (outputs, inputs, *(draw(st.integers(1, 3)) for _ in range(rank)))
    specs = tuple(tuple(draw(st.permutations(range(rank + 2)))) for _ in range(3))
    x, y = (
        values(shape).transpose(np.argsort(spec))
        for shape, spec in zip((image, kernel), specs, strict=False)
    )

    def per_axis(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in range(rank))

    options = {
        "window_strides": per_axis(1, 3),
        "padding": tuple(zip(per_axis(-1, 2), per_axis(-1, 2), strict=True)),
        "lhs_dilation": per_axis(1, 2),
        "rhs_dilation": per_axis(1, 2),
        "dimension_numbers": lax.ConvDimensionNumbers(*specs),
        "feature_group_count": feature_groups,
        "batch_group_count": batch_groups,
    }
    return lambda x, y: lax.conv_general_dilated(x, y, **options), [x, y]


case("conv_general_dilated", convolutions(), count=25)
case(
    "conv_general_dilated of many",
    applied(
        lambda x: lax.conv_general_dilated(
            jnp.tile(x, (2, 100, 100, 1)) * jnp.arange(100)[:, None],
            jnp.tile(x, (6, 5, 1))[..., None],
            (1, 2),
            "SAME",
            rhs_dilation=(2, 1),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        ),
        floats(0, 1),
    ),
    "conv_general_dilated",
    tolerance=1e-8,
    count=2,
)


# Windows.

WINDOWS: dict[str, tuple[float, Callable[..., Any]]] = {
    "reduce_window_sum": (0.0, lax.add),
    "reduce_window_max": (-math.inf, lax.max),
    "reduce_window_min": (math.inf, lax.min),
}


@st.composite
def window_reductions(draw: Any, start: float, combine: Callable[..., Any]) -> Drawn:
    shape = draw(shapes(1, 2, min_side=1))

    def per_axis(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in shape)

    size, stride, base, dilation = per_axis(1, 3), per_axis(1, 3), per_axis(1, 2), per_axis(1, 2)
    padding = tuple(zip(per_axis(0, 2), per_axis(0, 2), strict=True))
    return (
        lambda x: lax.reduce_window(x, start, combine, size, stride, padding, base, dilation),
        [values(shape)],
    )


for primitive, (start, combine) in WINDOWS.items():
    case(primitive, window_reductions(start, combine), count=12)


@st.composite
def pooling_derivatives(draw: Any, *, forward: bool) -> Drawn:
    shape = draw(shapes(2, 2, min_side=3))
    size = tuple(draw(st.integers(1, 3)) for _ in shape)
    stride = tuple(draw(st.integers(1, 3)) for _ in shape)
    padding = draw(st.sampled_from(["SAME", "VALID"]))
    largest = draw(st.booleans())
    start, combine = (-math.inf, lax.max) if largest else (math.inf, lax.min)

    def pool(x: Any) -> Any:
        return lax.reduce_window(x, start, combine, size, stride, padding)

    x = values(shape)
    if forward:
        return lambda x, t: jax.jvp(pool, (x,), (t,)), [x, x * x]
    return jax.grad(lambda x: jnp.sum(pool(x) ** 2)), [x]


case("select_and_scatter_add", pooling_derivatives(forward=False), count=5)
case("select_and_gather_add", pooling_derivatives(forward=True), count=8)


# Random numbers, which must agree to the bit.

KEY_RULES = "random_wrap random_unwrap random_split random_fold_in random_bits"


@st.composite
def draws(draw: Any) -> Drawn:
    shape = draw(shapes(0, 2))
    dtype = draw(st.sampled_from([np.uint8, np.uint16, np.uint32, np.uint64]))
    batch = draw(st.integers(1, 3))

    def sample(words: Any, data: Any) -> Any:
        key = jax.random.fold_in(jax.random.wrap_key_data(words), data)
        keys = jax.random.split(key, batch)
        folded = jax.vmap(jax.random.fold_in)(keys, jnp.arange(batch))
        return (
            jax.vmap(lambda key: jax.random.bits(key, shape, dtype))(folded),
            jax.random.key_data(jax.random.split(keys[-1], (2, 3))),
            jax.random.key_data(jnp.stack([keys[0], key])),
        )

    words = draw(arrays(np.uint32, 2))
    return sample, [words, np.uint32(draw(st.integers(0, 2**32 - 1)))]


case("random keys", draws(), KEY_RULES, tolerance=0, count=4)
case(
    "random_seed",
    applied(
        jax.vmap(lambda seed: jax.random.key_data(jax.random.clone(jax.random.key(seed)))),
        integers(np.int32) | integers(np.int64) | integers(np.uint32),
    ),
    "random_seed random_clone",
    tolerance=0,
)
case(
    "threefry2x32",
    applied(
        lambda key, x: jax.extend.random.threefry_2x32(key[:2], x),
        integers(np.uint32),
        integers(np.uint32),
    ),
    tolerance=0,
)

# Primitives that stand for nothing at all on one machine.

IDENTITIES = {
    "copy",
    "copy_p",
    "name",
    "stop_gradient",
    "sharding_constraint",
    "layout_constraint",
    "reshard",
    "pvary",
}
NEWER = {"log2", "one_minus_square", "polynomial"}
"""Primitives that the oldest JAX allowed does not have."""
IDENTITIES_OF_MANY = {"device_put", "optimization_barrier"}


def test_every_rule_is_tested() -> None:
    tested = {rule for entry in CASES.values() for rule in entry.rules}
    tested |= IDENTITIES | IDENTITIES_OF_MANY | {"tie"}
    tested |= {name for name in NEWER if not hasattr(lax, f"{name}_p")}
    assert set(RULES) == tested


@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")  # JAX, while tracing
@pytest.mark.parametrize("name", CASES)
def test_rule_agrees_with_jax(name: str) -> None:
    entry = CASES[name]
    seen: set[str] = set()

    @settings(max_examples=entry.count, deadline=None, derandomize=True, database=None)
    @given(entry.examples)
    def check(drawn: Drawn) -> None:
        seen.update(agrees(*drawn, entry.tolerance))

    check()
    assert entry.rules <= seen


def agrees(function: Callable[..., Any], arguments: list[Any], tolerance: float) -> set[str]:
    """Check NumPy against JAX on one example; returns the names of the evaluated primitives."""
    seen: set[str] = set()

    def record(eqn: Any, outputs: list[np.ndarray]) -> None:
        seen.add(eqn.primitive.name)
        for var, output in zip(eqn.outvars, outputs, strict=True):
            assert output.shape == var.aval.shape, eqn

    with jax.enable_x64(True):
        program = Program(jax.make_jaxpr(function)(*arguments))
        # Some of NumPy's arrays newer JAX would convert with NumPy.
        expected = jax.tree.leaves(function(*map(jnp.asarray, arguments)))
    found = program.run(arguments, record=record)
    assert program.fallbacks == set()
    for ours, theirs in zip(found, map(np.asarray, expected), strict=True):
        assert ours.dtype == (np.float64 if theirs.dtype.kind == "f" else theirs.dtype)
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)
    return seen


@pytest.mark.parametrize("name", sorted(IDENTITIES))
def test_identity(name: str) -> None:
    x = np.arange(3.0)
    assert RULES[name](None)(x) is x


@pytest.mark.parametrize("name", sorted(IDENTITIES_OF_MANY))
def test_identity_of_many(name: str) -> None:
    x, y = np.arange(3.0), np.arange(2.0)
    first, second = RULES[name](None)(x, y)
    assert first is x
    assert second is y


def test_tie_gives_its_second_operand() -> None:
    x, y = np.arange(3.0), np.arange(2.0)
    assert RULES["tie"](None)(x, y) is y


def test_older_random_order_agrees() -> None:
    def sample(words: Any) -> Any:
        key = jax.random.wrap_key_data(words)
        keys = jax.random.split(key, 3)
        bits = [jax.random.bits(key, (3, 5), dtype) for dtype in (np.uint8, np.uint16, np.uint32)]
        many = jax.vmap(lambda key: jax.random.bits(key, (5,), np.uint64))(keys)
        return *bits, many, jax.random.key_data(keys)

    with jax.threefry_partitionable(False):
        agrees(sample, [np.array([7, 11], np.uint32)], 0)


def test_narrow_floats_are_evaluated_in_float64() -> None:
    def narrow(x: Any) -> Any:
        return (x.astype(jnp.bfloat16) + 1).astype(np.float16)

    x = np.float32([1 / 3, 2.0])
    (found,) = Program(jax.make_jaxpr(narrow)(x)).run([x])
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, x.astype(np.float64) + 1)


def test_nextafter_uses_the_width_of_the_jaxpr() -> None:
    x, y = np.float32([0, 1, -3]), np.float32([1, 2, -9])
    (found,) = Program(jax.make_jaxpr(lax.nextafter)(x, y)).run([x, y])
    np.testing.assert_array_equal(found, lax.nextafter(x, y))

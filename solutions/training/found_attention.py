"""Attention in a finished function, however it is written, for a fused kernel.

Written out, attention goes through the memory of a GPU as scores and as weights, (heads, T, T)
each, forward and backward; a fused kernel keeps them on the chip.  It serves a student's model as
it serves the reference's, so attention is looked for in the jaxpr: what stands between two products
is *tried out* on random scores, and where it is a softmax of them, by whatever formula, the two
products and what is between them are one attention.

Source: Dao et al. 2022, arXiv 2205.14135, for what a fused kernel saves.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core as jex

from grader.jaxprs import bind_equation
from solutions.training.fused import Kernel, attend

Axes = tuple[int, ...]


@dataclass(frozen=True)
class Attention:
    """Where query, key and value of one attention are, and how their axes lie.

    Attributes:
      inputs: the variables of query, key and value.
      orders: the axes of each that become (batch axes…, tokens, channels); others have size 1.
      back: the order of (batch axes…, tokens, channels) in the result.
      shape: of the result.
      scale: what query · key is multiplied with in the softmax.

    """

    inputs: tuple[Any, Any, Any]
    orders: tuple[Axes, Axes, Axes]
    back: Axes
    shape: tuple[int, ...]
    scale: float

    def __call__(self, values: list[Any], kernel: Kernel) -> Any:
        """The result from query, key and value, with bfloat16 in the kernel."""
        parts = [_in_order(v, order) for v, order in zip(values, self.orders, strict=True)]
        *batch, tokens, channels = parts[0].shape
        images, heads = (batch or [1])[0], math.prod(batch[1:])

        def laid_out(part: Any) -> Any:
            part = part.reshape(images, heads, part.shape[-2], channels)
            return part.swapaxes(1, 2).astype(jnp.bfloat16)

        def mixed(*of_an_image: Any) -> Any:
            return attend(*of_an_image, kernel, scale=self.scale)

        result = jax.vmap(mixed)(*map(laid_out, parts)).astype(values[0].dtype).swapaxes(1, 2)
        result = result.reshape(*batch, tokens, channels)
        return result.transpose(self.back).reshape(self.shape)


def _in_order(value: Any, order: Axes) -> Any:
    rest = [axis for axis in range(value.ndim) if axis not in order]
    return value.transpose((*rest, *order)).reshape([value.shape[axis] for axis in order])


def attentions(jaxpr: Any) -> dict[int, Attention]:
    """The attentions in ``jaxpr``, by the index of the equation that has their result."""
    makers = {variable: equation for equation in jaxpr.eqns for variable in equation.outvars}
    found = {}
    for index, equation in enumerate(jaxpr.eqns):
        if equation.primitive.name == "dot_general":
            for weights in (0, 1):
                attention = _attention(equation, weights, makers)
                if attention is not None:
                    found[index] = attention
    return found


def _attention(mixing: Any, weights: int, makers: dict[Any, Any]) -> Attention | None:
    """The attention whose weights are the operand ``weights`` of a product, if it is one."""
    between = _back_to_a_product(mixing.invars[weights], makers)
    softmax = _softmax(mixing.invars[weights], *between) if between is not None else None
    if between is None or softmax is None:
        return None
    scores, mix, value = _Product(between[0]), _Product(mixing), 1 - weights
    single = (*scores.free, scores.summed, *mix.free, mix.summed)
    if any(len(axes) != 1 for axes in single):
        return None
    places = {place: pair for *pair, place in scores.batch}
    key = 0 if scores.free[0][0][1] == softmax.axis else 1
    query = 1 - key
    (query_axis, over_queries), (key_axis, over_keys) = scores.free[query][0], scores.free[key][0]
    batch = [softmax.places.get(pair[weights]) for *pair, _ in mix.batch]
    ends = [softmax.places.get(axis) for axis in (mix.free[weights][0][0], mix.summed[0][weights])]
    if ends != [over_queries, over_keys] or softmax.axis != over_keys:
        return None
    inputs = (between[0].invars[query], between[0].invars[key], mixing.invars[value])
    orders = (
        (*(places[i][query] for i in batch), query_axis, scores.summed[0][query]),
        (*(places[i][key] for i in batch), key_axis, scores.summed[0][key]),
        (*(pair[value] for *pair, _ in mix.batch), mix.summed[0][value], mix.free[value][0][0]),
    )
    sizes = {
        tuple(variable.aval.shape[axis] for axis in order[-2:])
        for variable, order in zip(inputs, orders, strict=True)
    }
    if len(sizes) > 1 or any(variable.aval.dtype != jnp.float32 for variable in inputs):
        return None
    last = (len(batch), len(batch) + 1)
    back = (*range(len(batch)), *(last if weights == 0 else last[::-1]))
    return Attention(inputs, orders, back, mixing.outvars[0].aval.shape, softmax.scale)


class _Product:
    """The axes of a ``dot_general`` without those of size 1, unless there is no other.

    Attributes:
      batch: (axis on the left, axis on the right, axis of the result).
      free: for both sides, (axis, axis of the result).
      summed: (axis on the left, axis on the right).

    """

    def __init__(self, equation: Any) -> None:
        shapes = [variable.aval.shape for variable in equation.invars]
        summed, batch = equation.params["dimension_numbers"]
        pairs = [tuple(map(int, pair)) for pair in zip(*batch, strict=True)]
        self.batch = [(*p, i) for i, p in enumerate(pairs) if shapes[0][p[0]] > 1]
        result, self.free = itertools.count(len(pairs)), []
        for side, shape in enumerate(shapes):
            taken = {*map(int, summed[side]), *map(int, batch[side])}
            free = [(axis, next(result)) for axis in range(len(shape)) if axis not in taken]
            self.free.append([f for f in free if shape[f[0]] > 1] or free[:1])
        together = [tuple(map(int, pair)) for pair in zip(*summed, strict=True)]
        self.summed = [p for p in together if shapes[0][p[0]] > 1] or together[:1]


def _back_to_a_product(variable: Any, makers: dict[Any, Any]) -> tuple[Any, list[Any]] | None:
    """The one product that ``variable`` is computed from, and the equations on the way, in order.

    None where it depends on anything else that is not a constant.
    """
    products: dict[int, Any] = {}
    equations: dict[int, Any] = {}

    def visit(wanted: Any) -> bool:
        if isinstance(wanted, jex.Literal):
            return True
        maker = makers.get(wanted)
        if maker is None:
            return False
        if maker.primitive.name == "dot_general":
            products[id(maker)] = maker
            return len(products) == 1
        if id(maker) not in equations:
            if not all(map(visit, maker.invars)):
                return False
            equations[id(maker)] = maker
        return True

    if not visit(variable) or not products or not equations:
        return None
    return next(iter(products.values())), list(equations.values())


@dataclass(frozen=True)
class _Softmax:
    """What makes weights of scores: ``softmax(scale * scores, axis)``, its axes in another order.

    Attributes:
      axis: of the scores.
      scale: a number.
      places: from the axes of the weights to those of the scores, where their size is not 1.

    """

    axis: int
    scale: float
    places: dict[int, int]


def _softmax(weights: Any, product: Any, equations: list[Any]) -> _Softmax | None:
    """What ``equations`` do, if it is a softmax: by trial."""
    scores = product.outvars[0]
    with jax.ensure_compile_time_eval():
        given = jax.random.normal(jax.random.key(0), scores.aval.shape, jnp.float32)
        found = _carried_out(equations, scores, given)[weights]
        if not jnp.issubdtype(found.dtype, jnp.floating) or found.min() < 0:
            return None
        wide_given, wide_found = (
            [axis for axis, size in enumerate(value.shape) if size > 1] for value in (given, found)
        )
        if len(wide_given) != len(wide_found):
            return None
        found, given = jnp.squeeze(found), jnp.squeeze(given)
        for axis in range(found.ndim):
            if not jnp.allclose(found.sum(axis), 1, atol=1e-4):
                continue
            for order in itertools.permutations(range(found.ndim)):
                scale = _scale(given.transpose(order), found, axis)
                if scale and _holds_far_out(equations, product, weights, scale, order, axis):
                    places = {wide_found[i]: wide_given[order[i]] for i in range(found.ndim)}
                    return _Softmax(wide_given[order[axis]], scale, places)
    return None


def _scale(scores: Any, weights: Any, axis: int) -> float | None:
    """The number for which ``weights`` are the softmax of that many times ``scores``."""
    if scores.shape != weights.shape:
        return None
    two = tuple(slice(2) if i == axis else 0 for i in range(scores.ndim))
    (a, b), (c, d) = np.asarray(scores[two]), np.asarray(weights[two], np.float64)
    if min(c, d) <= 0:
        return None
    scale = float(np.log(d / c) / (b - a))
    equal = jnp.allclose(weights, jax.nn.softmax(scale * scores, axis), rtol=1e-3, atol=1e-6)
    return scale if equal else None


def _holds_far_out(
    equations: list[Any], product: Any, weights: Any, scale: float, order: Axes, axis: int
) -> bool:
    """Whether large scores, too, come through as they are: not clipped, no tanh over them.

    Up to what a softmax without its maximum taken off stands in float32.
    """
    scores = product.outvars[0]
    given = jax.random.uniform(jax.random.key(1), scores.aval.shape, minval=-1, maxval=1)
    given = given * (_FAR / abs(scale))
    found = jnp.squeeze(_carried_out(equations, scores, given)[weights])
    wanted = jax.nn.softmax(scale * jnp.squeeze(given).transpose(order), axis)
    return bool(jnp.allclose(found, wanted, rtol=1e-2, atol=1e-6))


_FAR = 75.0
"""exp(88.8) is beyond float32; ten thousand times exp(75) is not."""


def _carried_out(equations: list[Any], variable: Any, value: Any) -> dict[Any, Any]:
    values = {variable: value}
    for equation in equations:
        inputs = [v.val if isinstance(v, jex.Literal) else values[v] for v in equation.invars]
        values.update(zip(equation.outvars, bind_equation(equation, inputs), strict=True))
    return values

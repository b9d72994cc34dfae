"""Matrix products with bfloat16 operands and float32 results, in any JAX function.

The usual way to bfloat16, casting parameters and activations, gains nothing on a CPU: XLA has no
fast kernel for a product whose *result* is bfloat16, and every addition and every LayerNorm
between is widened and narrowed again.  A product of bfloat16 operands with a float32 result,
however, runs on the instructions that many CPUs have for it (AVX512-BF16, AMX), about twice as
fast as float32.  So only the operands of the products are narrowed; everything between stays
float32.

`with_narrow_products` does that to a finished function, by walking through its jaxpr, so a
model needs not be written for it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend import core as jex

from grader.engine.jaxprs import bind_equation, sub_jaxprs


def with_narrow_products(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` with every matrix product between float32 arrays narrowed, gradients too.

    Args:
      function: of arrays or trees of arrays, that can be traced.

    """

    def narrowed(*arguments: Any) -> Any:
        closed, shapes = jax.make_jaxpr(function, return_shape=True)(*arguments)
        flat = jax.tree.leaves(arguments)
        results = _run(closed.jaxpr, closed.consts, flat)
        return jax.tree.unflatten(jax.tree.structure(shapes), results)

    return narrowed


Dimensions = tuple[tuple[tuple[int, ...], tuple[int, ...]], tuple[tuple[int, ...], tuple[int, ...]]]


def _dot(left: Any, right: Any, dimensions: Dimensions) -> Any:
    """``lax.dot_general`` as XLA has a fast kernel for it.

    The left operand has to end with the axes that are summed over, really and not only in the
    program's text: a transposition before the product would be folded into it, hence the barrier.
    (Without, jaxlib 0.10 stops with "Unsupported element type for DotThunk".)
    """
    (of_left, of_right), (batch_left, batch_right) = dimensions
    left, right = left.astype(jnp.bfloat16), right.astype(jnp.bfloat16)
    order = (*batch_left, *_others(left.ndim, of_left, batch_left), *of_left)
    if order != tuple(range(left.ndim)):
        left = lax.optimization_barrier(left.transpose(order))
        batch_left = tuple(range(len(batch_left)))
        of_left = tuple(range(left.ndim - len(of_left), left.ndim))
    return lax.dot_general(
        left,
        right,
        ((of_left, of_right), (batch_left, batch_right)),
        preferred_element_type=jnp.float32,
    )


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _product(left: Any, right: Any, dimensions: Dimensions) -> Any:
    return _dot(left, right, dimensions)


def _forward(left: Any, right: Any, dimensions: Dimensions) -> Any:
    left, right = left.astype(jnp.bfloat16), right.astype(jnp.bfloat16)
    return _dot(left, right, dimensions), (left, right)


def _backward(dimensions: Dimensions, saved: Any, cotangent: Any) -> Any:
    """The two products of the gradient.

    JAX's own rule would multiply the float32 cotangent with a bfloat16 operand, which has no
    fast kernel, and would round the result.
    """
    left, right = saved
    (of_left, of_right), batches = dimensions
    cotangent = cotangent.astype(jnp.bfloat16)
    batch, size = tuple(range(len(batches[0]))), len(batches[0])
    free_left = _others(left.ndim, of_left, batches[0])
    free_right = _others(right.ndim, of_right, batches[1])
    rows = tuple(range(size, size + len(free_left)))
    columns = tuple(range(size + len(free_left), cotangent.ndim))
    to_left = _dot(cotangent, right, ((columns, free_right), (batch, batches[1])))
    to_right = _dot(left, cotangent, ((free_left, rows), (batches[0], batch)))
    order_left = (*batches[0], *free_left, *_partners(of_right, of_left))
    order_right = (*batches[1], *_partners(of_left, of_right), *free_right)
    return _put(to_left, order_left), _put(to_right, order_right)


def _others(count: int, *taken: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(axis for axis in range(count) if not any(axis in some for some in taken))


def _partners(of: tuple[int, ...], partners: tuple[int, ...]) -> tuple[int, ...]:
    """The partners of contracted axes, in the order in which a product keeps those axes."""
    return tuple(partner for _, partner in sorted(zip(of, partners, strict=True)))


def _put(value: Any, order: tuple[int, ...]) -> Any:
    """Axis i of ``value`` becomes axis ``order[i]``."""
    return value.transpose(tuple(order.index(axis) for axis in range(len(order))))


_product.defvjp(_forward, _backward)


def _run(jaxpr: Any, constants: Any, arguments: Any) -> list[Any]:
    """Evaluate a jaxpr, with its products replaced, inside of its calls too."""
    values = dict(zip(jaxpr.constvars, constants, strict=True))
    values.update(zip(jaxpr.invars, arguments, strict=True))
    for equation in jaxpr.eqns:
        inputs = [v.val if isinstance(v, jex.Literal) else values[v] for v in equation.invars]
        values.update(zip(equation.outvars, _results(equation, inputs), strict=True))
    return [v.val if isinstance(v, jex.Literal) else values[v] for v in jaxpr.outvars]


def _results(equation: Any, inputs: list[Any]) -> list[Any]:
    name, params = equation.primitive.name, equation.params
    if name == "dot_general" and all(x.dtype == jnp.float32 for x in inputs):
        dimensions = jax.tree.map(int, params["dimension_numbers"])
        return [_product(*inputs, dimensions)]
    if name in ("jit", "pjit", "closed_call") and _multiplies(params["jaxpr"].jaxpr):
        return _run(params["jaxpr"].jaxpr, params["jaxpr"].consts, inputs)
    if name in ("checkpoint", "remat2") and _multiplies(params["jaxpr"]):
        body = jax.checkpoint(lambda *given: _run(params["jaxpr"], (), given))
        return list(body(*inputs))
    if name == "scan" and _multiplies(params["jaxpr"].jaxpr):
        return _scanned(params, inputs)
    results = bind_equation(equation, inputs)
    return list(results) if equation.primitive.multiple_results else [results]


def _scanned(params: Any, inputs: list[Any]) -> list[Any]:
    closed, fixed, carried = params["jaxpr"], params["num_consts"], params["num_carry"]

    def body(carry: list[Any], x: list[Any]) -> tuple[list[Any], list[Any]]:
        results = _run(closed.jaxpr, closed.consts, [*inputs[:fixed], *carry, *x])
        return results[:carried], results[carried:]

    carry, ys = lax.scan(
        body,
        inputs[fixed : fixed + carried],
        inputs[fixed + carried :],
        length=params["length"],
        reverse=params["reverse"],
        unroll=params["unroll"],
    )
    return [*carry, *ys]


def _multiplies(jaxpr: Any) -> bool:
    """Whether there is a product in a jaxpr, or in one inside it."""
    return any(
        equation.primitive.name == "dot_general" or any(map(_multiplies, sub_jaxprs(equation)))
        for equation in jaxpr.eqns
    )

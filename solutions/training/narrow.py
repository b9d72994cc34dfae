"""bfloat16 in a finished float32 function: its products, and what passes between them.

On CPUs only the operands of a product are narrowed, see `products`.  On accelerators its result is
narrowed, too, and what is computed from it stays so: what the gradients need is half as large in
memory, and memory is what limits all but the products there.  Sums stay float32, as in Flax's
LayerNorm, and with them what is computed from them until the next product.

Source: Micikevicius et al. 2018, arXiv 1710.03740, for what has to stay float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from grader.jaxprs import bind_equation

Dimensions = tuple[tuple[tuple[int, ...], tuple[int, ...]], tuple[tuple[int, ...], tuple[int, ...]]]

CALLS = ("jit", "pjit", "closed_call")

_KEEPING = frozenset(
    "abs add broadcast_in_dim concatenate copy copy_p div dynamic_slice dynamic_update_slice erf "
    "expand_dims gather integer_pow logistic max min mul name neg pad reduce_max reduce_min "
    "reshape rev select_n sign slice split square squeeze stop_gradient sub tanh transpose".split()
)
"""Primitives that give bfloat16 for bfloat16; all others get float32, where they expect it."""


def results_stay_narrow() -> bool:
    """Whether results of narrow products stay bfloat16: on accelerators."""
    return jax.default_backend() != "cpu"


def narrowed(values: list[Any]) -> list[Any]:
    """With bfloat16 in the place of float32."""
    return [v.astype(jnp.bfloat16) if v.dtype == jnp.float32 else v for v in values]


def literal(variable: Any) -> Any:
    """The value of a literal; a float takes the type of what it is combined with."""
    value = variable.val
    if variable.aval.dtype == jnp.float32 and not variable.aval.shape:
        return jnp.asarray(float(value))
    return value


def summed_only(jaxpr: Any) -> set[int]:
    """The ids of variables that go only into sums, such as the squares of a variance."""
    only: dict[int, bool] = {id(variable): False for variable in jaxpr.outvars}
    for equation in reversed(jaxpr.eqns):
        name = equation.primitive.name
        if name in CALLS:
            called = equation.params["jaxpr"].jaxpr
            inside = summed_only(called)
            summed = [id(variable) in inside for variable in called.invars]
        else:
            passes_on = name in _KEEPING or name == "convert_element_type"
            on = passes_on and all(only.get(id(variable), True) for variable in equation.outvars)
            summed = [on or name == "reduce_sum"] * len(equation.invars)
        for variable, is_summed in zip(equation.invars, summed, strict=True):
            only[id(variable)] = only.get(id(variable), True) and is_summed
    return {variable for variable, is_summed in only.items() if is_summed}


def carried_out(equation: Any, inputs: list[Any], summed: bool) -> list[Any]:
    """The results of an equation between float32 values, some of which may be bfloat16.

    Args:
      equation: as it was traced.
      inputs: their values.
      summed: whether its result goes into a sum, so that it has to be exact.

    """
    floats = [i for i, v in enumerate(equation.invars) if v.aval.dtype == jnp.float32]
    if any(inputs[i].dtype == jnp.bfloat16 for i in floats):
        keeps = equation.primitive.name in _KEEPING and not summed
        dtype = jnp.result_type(*(inputs[i] for i in floats)) if keeps else jnp.float32
        inputs = [x.astype(dtype) if i in floats else x for i, x in enumerate(inputs)]
    return bind_equation(equation, inputs)


def as_declared(values: Any, variables: Any) -> list[Any]:
    """Values with the types that the variables of a jaxpr have."""
    pairs = zip(values, variables, strict=True)
    return [v if v.dtype == var.aval.dtype else v.astype(var.aval.dtype) for v, var in pairs]


def product(left: Any, right: Any, dimensions: Dimensions) -> Any:
    """``lax.dot_general`` of operands narrowed to bfloat16, and so are those of its gradients.

    Args:
      left: float32, or already narrow.
      right: likewise.
      dimensions: as in ``lax.dot_general``.

    """
    if results_stay_narrow():
        left, right = narrowed([left, right])
        return lax.dot_general(left, right, dimensions, preferred_element_type=jnp.bfloat16)
    return _product(left, right, dimensions)


def _dot(left: Any, right: Any, dimensions: Dimensions) -> Any:
    """``lax.dot_general`` as XLA has a fast kernel for it on CPUs.

    The left operand has to end with the axes that are summed over, really and not only in
    the program's text: a transposition before the product would be folded into it, hence the
    barrier.  (Without, jaxlib 0.10 stops with "Unsupported element type for DotThunk".)
    """
    (of_left, of_right), (batch_left, batch_right) = dimensions
    left, right = left.astype(jnp.bfloat16), right.astype(jnp.bfloat16)
    order = (*batch_left, *others(left.ndim, of_left, batch_left), *of_left)
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
    free_left = others(left.ndim, of_left, batches[0])
    free_right = others(right.ndim, of_right, batches[1])
    rows = tuple(range(size, size + len(free_left)))
    columns = tuple(range(size + len(free_left), cotangent.ndim))
    to_left = _dot(cotangent, right, ((columns, free_right), (batch, batches[1])))
    to_right = _dot(left, cotangent, ((free_left, rows), (batches[0], batch)))
    order_left = (*batches[0], *free_left, *_partners(of_right, of_left))
    order_right = (*batches[1], *_partners(of_left, of_right), *free_right)
    return put(to_left, order_left), put(to_right, order_right)


def others(count: int, *taken: Sequence[int]) -> tuple[int, ...]:
    """Which of ``count`` axes are not taken."""
    return tuple(axis for axis in range(count) if not any(axis in some for some in taken))


def _partners(of: tuple[int, ...], partners: tuple[int, ...]) -> tuple[int, ...]:
    """The partners of contracted axes, in the order in which a product keeps those axes."""
    return tuple(partner for _, partner in sorted(zip(of, partners, strict=True)))


def put(value: Any, order: tuple[int, ...]) -> Any:
    """Axis i of a product becomes axis ``order[i]``.

    On CPUs behind a barrier: jaxlib 0.12 would make another product of the two, one with a left
    operand as it has no kernel for, see `_dot`.
    """
    value = value if results_stay_narrow() else lax.optimization_barrier(value)
    return value.transpose(tuple(order.index(axis) for axis in range(len(order))))


_product.defvjp(_forward, _backward)

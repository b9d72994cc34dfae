"""Matrix products as XLA computes them fast, in any JAX function.

Five things are changed in a finished function, by walking through its jaxpr, so a model needs not
be written for it, a student's neither:

- *Loops.*  A loop over the layers (``nn.scan``) becomes as many copies of its body, which is what
  the references' loop in Python is.  XLA computes nothing across the passes of a loop, and each
  pass puts what the gradients need into one array and takes it out again: answers with ``nn.scan``
  trained at three quarters of the reference's images/s on a CPU.  For the same reason nothing is
  computed again that a model puts into ``nn.remat``: the memory that the reference takes is there.
- *Patches.*  A convolution whose kernel is as large as its stride sees every pixel once: it is one
  matrix product over the pixels of a patch.  XLA does not know that on CPUs.  Inside of a loop, as
  in a training run, one convolution of the patch embedding took a sixth of a step.
- *Axes.*  On CPUs large products are products of two matrices: see `merged_axes`.
- *bfloat16*, where it is asked for.  The usual way, casting parameters and activations, gains
  nothing on a CPU: XLA has no fast kernel for a product whose *result* is bfloat16, and every
  addition and every LayerNorm between is widened and narrowed again.  A product of bfloat16
  operands with a float32 result, however, runs on the instructions that many CPUs have for it
  (AVX512-BF16, AMX), about twice as fast as float32.  So only the operands of the products are
  narrowed; everything between stays float32.  On accelerators the usual way is taken: see `narrow`.
- *Attention*, where there is a fused kernel for it: see `found_attention`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend import core as jex

from grader.jaxprs import bind_equation, scan_widths, sub_jaxprs
from solutions.training.found_attention import Attention, attentions
from solutions.training.fused import Kernel
from solutions.training.merged_axes import gains_from_merging, merged
from solutions.training.narrow import (
    CALLS,
    Dimensions,
    as_declared,
    carried_out,
    literal,
    narrowed,
    product,
    put,
    results_stay_narrow,
    summed_only,
)


def with_fast_products(
    function: Callable[..., Any], narrow: bool, kernel: Kernel | None = None
) -> Callable[..., Any]:
    """``function`` with its products between float32 arrays as the device likes them.

    The same goes for the products of its gradients.

    Args:
      function: of arrays or trees of arrays, that can be traced.
      narrow: whether operands of products are rounded to bfloat16.
      kernel: what computes attention, where products are narrow; None: the formulas of
        ``function``.

    """

    def rewritten(*arguments: Any) -> Any:
        rewrite = _Rewrite(narrow, kernel)
        closed, shapes = jax.make_jaxpr(function, return_shape=True)(*arguments)
        given = jax.tree.leaves(arguments), closed.consts
        flat, constants = map(narrowed, given) if rewrite.mixed else given
        results = as_declared(rewrite.run(closed.jaxpr, constants, flat), closed.jaxpr.outvars)
        return jax.tree.unflatten(jax.tree.structure(shapes), results)

    return rewritten


@dataclass
class _Rewrite:
    """Evaluates a jaxpr with other products in place of its own, inside of its calls too."""

    narrow: bool
    kernel: Kernel | None
    _found: dict[int, dict[int, Attention]] = field(default_factory=dict)

    @property
    def mixed(self) -> bool:
        """Whether values between the products may be bfloat16."""
        return self.narrow and results_stay_narrow()

    def run(self, jaxpr: Any, constants: Any, arguments: Any) -> list[Any]:
        values = dict(zip(jaxpr.constvars, constants, strict=True))
        values.update(zip(jaxpr.invars, arguments, strict=True))
        summed = summed_only(jaxpr) if self.mixed else set()
        for equation, attention in self._wanted(jaxpr):
            if attention is not None:
                assert self.kernel is not None
                mixed = attention([values[v] for v in attention.inputs], self.kernel)
                values[equation.outvars[0]] = mixed
                continue
            inputs = [self._read(v, values) for v in equation.invars]
            exact = all(id(v) in summed for v in equation.outvars)
            values.update(
                zip(equation.outvars, self._results(equation, inputs, exact), strict=True)
            )
        return [self._read(v, values) for v in jaxpr.outvars]

    def _read(self, variable: Any, values: Mapping[Any, Any]) -> Any:
        if not isinstance(variable, jex.Literal):
            return values[variable]
        return literal(variable) if self.mixed else variable.val

    def _wanted(self, jaxpr: Any) -> list[tuple[Any, Attention | None]]:
        """The equations that a result needs, each with the attention that it ends, if it does."""
        if self.kernel is not None and id(jaxpr) not in self._found:
            self._found[id(jaxpr)] = attentions(jaxpr)  # once for all passes of a loop
        found = self._found.get(id(jaxpr), {})
        needed, wanted = set(map(id, jaxpr.outvars)), []
        for index in reversed(range(len(jaxpr.eqns))):
            equation, attention = jaxpr.eqns[index], found.get(index)
            if equation.effects or any(id(v) in needed for v in equation.outvars):
                needed.update(map(id, attention.inputs if attention else equation.invars))
                wanted.append((equation, attention))
        return wanted[::-1]

    def _results(self, equation: Any, inputs: list[Any], exact: bool) -> list[Any]:
        name, params = equation.primitive.name, equation.params
        if self._replaces(equation):
            left, right = inputs
            replaced = self._product if name == "dot_general" else self._patches
            return [replaced(left, right, params)]
        opens = self.mixed or any(map(_multiplies, sub_jaxprs(equation)))
        if name in CALLS and opens:
            return self.run(params["jaxpr"].jaxpr, params["jaxpr"].consts, inputs)
        if name in ("checkpoint", "remat2") and opens:
            return self.run(params["jaxpr"], (), inputs)
        if name == "scan" and opens:
            unrolled = 0 < params["length"] <= _MOST_UNROLLED
            return (self._unrolled if unrolled else self._scanned)(params, inputs)
        return (
            carried_out(equation, inputs, exact) if self.mixed else bind_equation(equation, inputs)
        )

    def _replaces(self, equation: Any) -> bool:
        name = equation.primitive.name
        if name == "dot_general":
            wanted = self.narrow or (not results_stay_narrow() and gains_from_merging(equation))
        else:
            wanted = name == "conv_general_dilated" and _cuts_patches(equation)
        operands = (*equation.invars, *equation.outvars)
        return wanted and all(v.aval.dtype == jnp.float32 for v in operands)

    def _product(self, left: Any, right: Any, params: Any) -> Any:
        dimensions = jax.tree.map(int, params["dimension_numbers"])
        if self.narrow:
            return product(left, right, dimensions)
        return merged(left, right, dimensions, params["precision"])

    def _unrolled(self, params: Any, inputs: list[Any]) -> list[Any]:
        """A loop as so many copies of its body, each with its slices."""
        closed, (fixed, carried) = params["jaxpr"], scan_widths(params)
        constants, carry = inputs[:fixed], inputs[fixed : fixed + carried]
        slices = [_along_first_axis(xs) for xs in inputs[fixed + carried :]]
        rows: list[list[Any]] = [[] for _ in closed.jaxpr.outvars[carried:]]
        steps = range(params["length"])
        for i in reversed(steps) if params["reverse"] else steps:
            x = [xs[i] for xs in slices]
            results = self.run(closed.jaxpr, closed.consts, [*constants, *carry, *x])
            carry = results[:carried]
            for row, result in zip(rows, results[carried:], strict=True):
                row.append(result)
        ordered = [row[::-1] if params["reverse"] else row for row in rows]
        return [*carry, *map(jnp.stack, ordered)]

    def _scanned(self, params: Any, inputs: list[Any]) -> list[Any]:
        closed, (fixed, carried) = params["jaxpr"], scan_widths(params)
        inputs = as_declared(inputs, closed.jaxpr.invars)

        def body(carry: list[Any], x: list[Any]) -> tuple[list[Any], list[Any]]:
            results = self.run(closed.jaxpr, closed.consts, [*inputs[:fixed], *carry, *x])
            results = as_declared(results, closed.jaxpr.outvars)
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

    def _patches(self, images: Any, kernel: Any, params: Any) -> Any:
        """The convolution of ``images`` with a kernel as large as its stride, as one product.

        Images are brought to (B, H, W, C) and the kernel to (p, q, C, D), with any number of axes
        in the place of H and W; what no patch covers at the far ends is cut off.
        """
        numbers = params["dimension_numbers"]
        images = images.transpose(_channels_last(numbers.lhs_spec))
        out_axis, in_axis, *sides = numbers.rhs_spec
        kernel = kernel.transpose((*sides, in_axis, out_axis))
        *patch, channels, width = kernel.shape
        grid = [size // side for size, side in zip(images.shape[1:-1], patch, strict=True)]
        ends = [count * side for count, side in zip(grid, patch, strict=True)]
        images = images[(slice(None), *(slice(end) for end in ends))]
        cut = [size for pair in zip(grid, patch, strict=True) for size in pair]
        patches = images.reshape(len(images), *cut, channels)
        rows, pixels = range(1, len(cut), 2), range(2, len(cut) + 1, 2)
        patches = patches.transpose((0, *rows, *pixels, patches.ndim - 1))
        patches = patches.reshape(-1, math.prod(patch) * channels)
        matrix = kernel.reshape(-1, width)
        if self.narrow:
            result = product(patches, matrix, _PLAIN)
        else:
            result = jnp.matmul(patches, matrix, precision=params["precision"])
        result = result.reshape(len(images), *grid, width)
        return put(result, _channels_last(numbers.out_spec))


def _multiplies(jaxpr: Any) -> bool:
    """Whether there is a product in a jaxpr, or in one inside it."""
    return any(
        equation.primitive.name in ("dot_general", "conv_general_dilated")
        or any(map(_multiplies, sub_jaxprs(equation)))
        for equation in jaxpr.eqns
    )


def _along_first_axis(array: Any) -> list[Any]:
    """The slices along the first axis; their gradients are put together in one go."""
    return [part.squeeze(0) for part in lax.split(array, [1] * len(array))]


_MOST_UNROLLED = 32
"""Passes of a loop: layers are never more in the recipes; tokens are, and stay a loop."""

_PLAIN: Dimensions = (((1,), (0,)), ((), ()))


def _channels_last(spec: tuple[int, ...]) -> tuple[int, ...]:
    batch, channels, *sides = spec
    return (batch, *sides, channels)


def _cuts_patches(convolution: Any) -> bool:
    """Whether a convolution sees every pixel once, and none that is not there."""
    params, kernel = convolution.params, convolution.invars[1].aval.shape
    sides = [kernel[axis] for axis in params["dimension_numbers"].rhs_spec[2:]]
    once = {*params["lhs_dilation"], *params["rhs_dilation"]} == {1}
    whole = params["feature_group_count"] == params["batch_group_count"] == 1
    inside = all(tuple(edge) == (0, 0) for edge in params["padding"])
    return once and whole and inside and list(params["window_strides"]) == sides

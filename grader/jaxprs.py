"""Equations of jaxprs, for whoever walks through them: what they contain, and to carry them out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def sub_jaxprs(eqn: Any) -> Iterator[Any]:
    """The jaxprs that an equation carries in its parameters (``jit``, ``scan``, ``cond`` …)."""
    for value in eqn.params.values():
        for item in value if isinstance(value, list | tuple) else (value,):
            if hasattr(item, "eqns"):
                yield getattr(item, "jaxpr", item)


def bind_equation(eqn: Any, inputs: list[Any]) -> list[Any]:
    """Carry out an equation with JAX.

    ``get_bind_params`` gives a dict in jax 0.10 and gave (functions, dict) before.
    """
    params = eqn.primitive.get_bind_params(eqn.params)
    functions, params = params if isinstance(params, tuple) else ((), params)
    results = eqn.primitive.bind(*functions, *inputs, **params)
    return list(results) if eqn.primitive.multiple_results else [results]


def scan_widths(params: Any) -> tuple[int, int]:
    """How many constants and how many carries a scan has: its first inputs, in this order.

    They are two numbers in jax 0.10, and the first two of three trees since.
    """
    if "num_consts" in params:
        return params["num_consts"], params["num_carry"]
    constants, carries, _ = params["ft_in"].unpack()
    return len(constants), len(carries)

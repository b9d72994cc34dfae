"""The equation that stands in a lifted jaxpr wherever a submission calls Linen's ``init``.

It carries the paths of the variables and the program that would have drawn them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core as jex
from jax.interpreters import batching

from grader.jaxprs import sub_jaxprs

LEARNED_OR_STATE = ("params", "batch_stats", "cache")
"""Linen collections of which a model is made, beside what it notes down."""

linen_init = jex.Primitive("linen_init")
linen_init.multiple_results = True
linen_init.def_abstract_eval(lambda *_, program, paths: list(program.out_avals))

unlooked_at = jex.Primitive("unlooked_at")
"""Stands for a drawn value that nobody will ask for; takes the key that it would be drawn from."""
unlooked_at.def_abstract_eval(lambda _, shape, dtype: jax.core.ShapedArray(shape, dtype))


def _batch_linen_init(args: Any, dims: Any, *, program: Any, paths: tuple[str, ...]) -> Any:
    """``jax.vmap`` over an init: one set of variables for each key.

    With one key for a batch of inputs there is one set of parameters.  What the model noted down
    on its way (``sow``) is there for each input.
    """
    function = jex.jaxpr_as_fun(program)
    keys = any(dim is not None and not _is_float(arg) for arg, dim in zip(args, dims, strict=True))
    varying = [keys or not path.startswith("params/") for path in paths]

    def mapped(*args: Any) -> list[Any]:
        values = jax.vmap(function, in_axes=tuple(dims))(*args)
        return [v if varies else v[0] for v, varies in zip(values, varying, strict=True)]

    values = linen_init.bind(*args, program=jax.make_jaxpr(mapped)(*args), paths=paths)
    return values, [0 if varies else None for varies in varying]


def _is_float(value: Any) -> bool:
    return bool(jnp.issubdtype(value.dtype, jnp.floating))


def _batch_unlooked_at(args: Any, dims: Any, *, shape: tuple[int, ...], dtype: Any) -> Any:
    size = args[0].shape[dims[0]]
    return unlooked_at.bind(args[0], shape=(size, *shape), dtype=dtype), 0


batching.primitive_batchers[linen_init] = _batch_linen_init
batching.primitive_batchers[unlooked_at] = _batch_unlooked_at


@dataclass(frozen=True)
class Inventory:
    """What one ``linen_init`` equation creates: paths, and a program with those outputs."""

    paths: tuple[str, ...]
    program: Any


@dataclass(frozen=True)
class Variable:
    """One variable that a Linen ``init`` creates: collection, path, shape and dtype name."""

    collection: str
    path: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def is_record(self) -> bool:
        """Whether it may be a note of what came up (``sow``), which no result depends on."""
        return self.collection not in LEARNED_OR_STATE


def init_equations(jaxpr: Any) -> list[Any]:
    """All ``linen_init`` equations of a jaxpr, nested ones too, each once, in program order."""
    found: list[Any] = []
    seen: set[int] = set()

    def walk(inner: Any) -> None:
        if id(inner) in seen:
            return
        seen.add(id(inner))
        for eqn in inner.eqns:
            if eqn.primitive is linen_init:
                found.append(eqn)
            else:
                for sub in sub_jaxprs(eqn):
                    walk(sub)

    walk(jaxpr)
    return found


def init_equations_inside(eqn: Any) -> bool:
    """Whether an equation's own jaxprs create variables."""
    return any(init_equations(jaxpr) for jaxpr in sub_jaxprs(eqn))


def created_variables(eqn: Any) -> list[Variable]:
    """What one ``linen_init`` equation creates."""
    variables = []
    for path, aval in zip(eqn.params["paths"], eqn.params["program"].out_avals, strict=True):
        collection, _, rest = path.partition("/")
        variables.append(Variable(collection, rest, tuple(aval.shape), str(aval.dtype)))
    return variables


def inventories(jaxpr: Any) -> list[Inventory]:
    """What each ``linen_init`` equation of a jaxpr creates, to foresee it in a similar one."""
    found = []
    for eqn in init_equations(jaxpr):
        kinds = [(aval.shape, aval.dtype) for aval in eqn.params["program"].out_avals]
        program = jax.make_jaxpr(lambda kinds=kinds: [jnp.zeros(*kind) for kind in kinds])()
        found.append(Inventory(eqn.params["paths"], program))
    return found

"""Which equations of a jaxpr matter to the outputs that are read."""

from __future__ import annotations

from typing import Any, NamedTuple

from jax.extend.core import Literal

from grader.jaxprs import scan_widths

Used = tuple[bool, ...]
"""One flag per variable: whether anybody reads it."""


CALLED: dict[str, tuple[str, ...]] = {
    "jit": ("jaxpr",),
    "pjit": ("jaxpr",),
    "closed_call": ("call_jaxpr",),
    "core_call": ("call_jaxpr",),
    "call": ("call_jaxpr",),
    "remat": ("jaxpr",),
    "remat2": ("jaxpr",),
    "checkpoint": ("jaxpr",),
    "custom_jvp_call": ("call_jaxpr",),
    "custom_vjp_call": ("call_jaxpr", "fun_jaxpr"),
    "custom_vjp_call_jaxpr": ("fun_jaxpr", "call_jaxpr"),
    "custom_vmap_call": ("call",),
    "xla_metadata_call": ("jaxpr",),
    "composite": ("jaxpr", "call_jaxpr"),
    "shard_map": ("jaxpr",),
}
"""Call-like primitives, by the names of this and earlier JAX versions, and the parameters that
may hold the jaxpr they run."""


_MUTABLE = frozenset({"new_ref", "empty_ref", "run_state"})
"""Primitives whose effects are results, which liveness does not follow."""


class Live(NamedTuple):
    """The part of a jaxpr that matters."""

    equations: list[tuple[Any, Used]]
    """In order, each with a flag per output: whether it is read."""
    inputs: Used


def called_jaxpr(eqn: Any) -> Any | None:
    """The jaxpr that a call-like equation runs on its inputs; None for any other equation."""
    if eqn.primitive.name == "shard_map" and eqn.params["mesh"].size > 1:
        return None
    for parameter in CALLED.get(eqn.primitive.name, ()):
        if parameter in eqn.params:
            return eqn.params[parameter]
    return None


def opened(jaxpr: Any) -> Any:
    """The plain jaxpr of a closed one; a plain one as it is."""
    return getattr(jaxpr, "jaxpr", jaxpr)


class Liveness:
    """Backwards liveness, worked out once per (jaxpr, outputs in use).

    `opaque` names primitives whose equations read all their inputs, whatever jaxprs they hold.
    """

    def __init__(self, opaque: frozenset[str]) -> None:
        self._opaque = opaque
        self._known: dict[tuple[int, Used], Live] = {}

    def of(self, jaxpr: Any, used: Used) -> Live:
        """The live part of a plain jaxpr whose outputs are read as `used` says."""
        key = (id(jaxpr), used)
        live = self._known.get(key)
        if live is None:
            live = self._known[key] = self._analyse(jaxpr, used)
        return live

    def _analyse(self, jaxpr: Any, used: Used) -> Live:
        read = {
            var
            for var, is_used in zip(jaxpr.outvars, used, strict=True)
            if is_used and not isinstance(var, Literal)
        }
        equations = []
        for eqn in reversed(jaxpr.eqns):
            if eqn.primitive.name in _MUTABLE:
                raise NotImplementedError("mutable references (jax.new_ref) are not evaluated")
            outputs = tuple([var in read for var in eqn.outvars])
            if True not in outputs:
                continue
            equations.append((eqn, outputs))
            needed = self._needed(eqn, outputs)
            for index, var in enumerate(eqn.invars):
                if (needed is None or needed[index]) and not isinstance(var, Literal):
                    read.add(var)
        equations.reverse()
        return Live(equations, tuple([var in read for var in jaxpr.invars]))

    def _needed(self, eqn: Any, outputs: Used) -> Used | None:
        """Which inputs an equation reads; None for all of them."""
        name = eqn.primitive.name
        if name in self._opaque:
            return None
        if name == "scan":
            return self.scan(eqn, outputs).inputs
        if name == "cond":
            branches = [self.of(opened(b), outputs).inputs for b in eqn.params["branches"]]
            return (True, *(any(flags) for flags in zip(*branches, strict=True)))
        called = called_jaxpr(eqn)
        return None if called is None else self.of(opened(called), outputs).inputs

    def scan(self, eqn: Any, outputs: Used) -> ScanUse:
        """What a scan reads: a carry matters when an output or another live carry needs it."""
        consts, carries = scan_widths(eqn.params)
        body = opened(eqn.params["jaxpr"])
        used = outputs
        while True:
            inputs = self.of(body, used).inputs
            fed_back = inputs[consts : consts + carries]
            wider = (
                tuple([a or b for a, b in zip(used[:carries], fed_back, strict=True)])
                + used[carries:]
            )
            if wider == used:
                return ScanUse(used, inputs[:consts] + used[:carries] + inputs[consts + carries :])
            used = wider


class ScanUse(NamedTuple):
    """What a scan reads and produces, given the outputs in use."""

    outputs: Used
    """Body outputs to compute: carries first, then stacked outputs."""
    inputs: Used
    """Inputs of the equation that are read."""

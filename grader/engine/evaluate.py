"""Evaluate a jaxpr with NumPy, in float64, primitive by primitive.

No XLA compilation happens and no JAX backend is started, unless a primitive has no NumPy rule.

A jaxpr is prepared once: the equations that matter to its outputs become steps over numbered
slots, with everything static worked out. Sub-jaxprs become bodies of their own, shared by the
equations that use them in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jax.extend.core import Literal

from grader.engine.control_flow import (
    CONTROL_FLOW,
    Body,
    Recorder,
    Run,
    Special,
    cond,
    scan,
    while_loop,
)
from grader.engine.folds import FOLDS, fold
from grader.engine.liveness import CALLED, Liveness, Used, called_jaxpr, opened
from grader.engine.origins import Origins
from grader.engine.rules import RULES
from grader.engine.rules.fallback import evaluate_with_jax
from grader.engine.rules.values import as_written, hold, release

__all__ = ["Program", "Recorder", "Special"]

_MOST_ELEMENTS = 2**31

_NOTHING, _DISCARD, _FIRST_INPUT = range(3)
"""Slots: what is never computed, where unread results go, and where the inputs start."""

_ONE_RESULT, _MANY_RESULTS, _OUTSIDE, _NESTED = range(4)
"""Kinds of steps: an outside one (special or fallback) sees the run and the equation; a nested
one runs other bodies, which record for themselves."""

_Step = tuple[int, Callable[..., Any], tuple[int, ...], Any, Any]
"""Kind, what to compute, argument slots, result slots (bare for one result), equation."""


class Preparation:
    """Prepares bodies, each once per (jaxpr, outputs in use).

    `replaced` names the primitives whose equations go to `Run.special` although they have a
    rule. Those without a rule go there whenever the run has something for them.
    """

    def __init__(self, replaced: frozenset[str]) -> None:
        self._replaced = replaced
        self._liveness = Liveness(replaced)
        self._bodies: dict[tuple[int, Used], Body] = {}
        self._kept: list[Any] = []  # an id is given again once its jaxpr is gone

    def body(self, jaxpr: Any, used: Used) -> Body:
        """The body of an open or closed jaxpr, computing the outputs that `used` flags."""
        key = (id(jaxpr), used)
        body = self._bodies.get(key)
        if body is None:
            self._kept.append(jaxpr)
            body = self._bodies[key] = self._prepare(jaxpr, used)
        return body

    def _prepare(self, jaxpr: Any, used: Used) -> Body:
        plain = opened(jaxpr)
        template: list[Any] = [None] * (_FIRST_INPUT + len(plain.invars))
        slot_of = {var: slot for slot, var in enumerate(plain.invars, start=_FIRST_INPUT)}

        def constant(value: Any, aval: Any) -> int:
            template.append(hold(as_written(value), aval))
            return len(template) - 1

        def argument(var: Any) -> int:
            # A variable without a slot is one that nobody needs, say an input of a call
            # that reaches only the unused results of that call.
            if isinstance(var, Literal):
                return constant(var.val, var.aval)
            return slot_of.get(var, _NOTHING)

        for var, value in zip(plain.constvars, getattr(jaxpr, "consts", ()), strict=True):
            slot_of[var] = constant(value, var.aval)
        steps = []
        for eqn, outputs in self._liveness.of(plain, used).equations:
            arguments = tuple([argument(var) for var in eqn.invars])
            results = []
            for var, is_read in zip(eqn.outvars, outputs, strict=True):
                if is_read:
                    slot_of[var] = len(template)
                    template.append(None)
                results.append(slot_of[var] if is_read else _DISCARD)
            steps.append(self._step(eqn, outputs, arguments, tuple(results)))
        results = [
            argument(var) if is_used else _NOTHING
            for var, is_used in zip(plain.outvars, used, strict=True)
        ]
        return _interpreter(template, len(plain.invars), steps, results)

    def _step(
        self, eqn: Any, outputs: Used, arguments: tuple[int, ...], results: tuple[int, ...]
    ) -> _Step:
        name = eqn.primitive.name
        if name in self._replaced:
            return (_OUTSIDE, _evaluate_outside, arguments, results, eqn)
        too_large = _refusal(eqn)
        if too_large is not None:
            return (_NESTED, too_large, arguments, results, eqn)
        nested = self._nested(eqn, outputs)
        if nested is not None:
            return (_NESTED, nested, arguments, results, eqn)
        rule = RULES.get(name)
        compute = rule(eqn) if rule is not None else None
        if compute is None:
            return (_OUTSIDE, _evaluate_outside, arguments, results, eqn)
        if eqn.primitive.multiple_results:
            return (_MANY_RESULTS, compute, arguments, results, eqn)
        return (_ONE_RESULT, compute, arguments, results[0], eqn)

    def _nested(self, eqn: Any, outputs: Used) -> Body | None:
        name = eqn.primitive.name
        if name == "scan":
            return scan(self.body, eqn, outputs, self._liveness.scan(eqn, outputs))
        if name == "while":
            return while_loop(self.body, eqn)
        if name == "cond":
            return cond(self.body, eqn, outputs)
        if name in FOLDS:
            return fold(self.body, eqn)
        called = called_jaxpr(eqn)
        return None if called is None else self.body(called, outputs)


def _interpreter(template: list[Any], width: int, steps: list[_Step], results: list[int]) -> Body:
    inputs_end = _FIRST_INPUT + width

    def interpret(run: Run, inputs: Sequence[Any]) -> list[Any]:
        slots = template.copy()
        slots[_FIRST_INPUT:inputs_end] = inputs
        record, origins = run.record, run.origins
        for kind, compute, arguments, targets, eqn in steps:
            if kind == _ONE_RESULT:
                value = compute(*[slots[i] for i in arguments])
                if record is not None:
                    value = np.asarray(value)
                    record(eqn, [value])
                    if origins is not None:
                        origins.note([value], [slots[i] for i in arguments])
                slots[targets] = value
                continue
            if kind == _MANY_RESULTS:
                values = compute(*[slots[i] for i in arguments])
            elif kind == _OUTSIDE:
                values = compute(run, eqn, [np.asarray(slots[i]) for i in arguments])
            else:
                values = compute(run, [slots[i] for i in arguments])
            if record is not None and kind != _NESTED:
                values = [np.asarray(value) for value in values]
                record(eqn, values)
                if origins is not None:
                    origins.note(values, [slots[i] for i in arguments])
            for slot, value in zip(targets, values, strict=True):
                slots[slot] = value
        return [slots[i] for i in results]

    return interpret


def _evaluate_outside(run: Run, eqn: Any, inputs: list[np.ndarray]) -> list[np.ndarray]:
    name = eqn.primitive.name
    special = run.special.get(name)
    if special is None:
        run.fallbacks.add(name)
        return evaluate_with_jax(eqn, inputs)
    outputs = special(eqn, inputs)
    return [hold(x, var.aval) for x, var in zip(outputs, eqn.outvars, strict=True)]


def has_rule(name: str) -> bool:
    """Whether equations of this primitive are evaluated without JAX."""
    return name in RULES or name in CONTROL_FLOW or name in CALLED or name in FOLDS


def _refusal(eqn: Any) -> Body | None:
    """What to run in the place of an equation whose result cannot be allocated."""
    for var in eqn.outvars:
        shape = tuple(getattr(var.aval, "shape", ()))  # tokens have none
        if math.prod(shape) > _MOST_ELEMENTS:
            return _refuse(f"{eqn.primitive.name} would create an array of shape {shape}")
    return None


def _refuse(message: str) -> Body:
    def refuse(run: Run, values: Sequence[Any]) -> list[Any]:
        raise MemoryError(message)

    return refuse


class Program:
    """A jaxpr prepared for repeated NumPy evaluation.

    Floating-point values are float64 and complex values complex128 throughout. Equations whose
    results do not reach an output are not evaluated, whatever effects they have.

    `fallbacks` holds the names of the primitives that had no NumPy rule and were sent to JAX;
    it is filled while running.
    """

    fallbacks: set[str]

    def __init__(self, closed: Any) -> None:
        self.fallbacks = set()
        self._closed = closed
        self._bodies: dict[frozenset[str], Body] = {}
        self._body(frozenset())

    def run(
        self,
        inputs: Sequence[Any],
        *,
        special: Mapping[str, Special] | None = None,
        record: Recorder | None = None,
        origins: Origins | None = None,
    ) -> list[np.ndarray]:
        """Evaluate on `inputs`, one per input variable of the jaxpr, in order.

        PRNG keys go in and come out as uint32 words with a trailing axis of 2; a jax key array
        is accepted too. `special` replaces the rules of the primitives it names; `record` sees
        every evaluated leaf equation, also inside called jaxprs, once per iteration. Both see
        values as they are held: floats as float64, keys as uint64 of the logical shape.
        `origins` is told what each value that `record` sees is computed from.
        Outputs may share memory with inputs and with each other.

        Raises ValueError for inputs of the wrong number or shape, and MemoryError for an
        equation whose result would exceed 2**31 elements.
        """
        jaxpr = self._closed.jaxpr
        if len(inputs) != len(jaxpr.invars):
            raise ValueError(f"expected {len(jaxpr.invars)} inputs, got {len(inputs)}")
        replaced = special or {}
        body = self._body(frozenset(filter(has_rule, replaced)))
        with np.errstate(all="ignore"):
            held = [hold(x, var.aval) for x, var in zip(inputs, jaxpr.invars, strict=True)]
            outputs = body(Run(replaced, record, origins, self.fallbacks), held)
        return [release(x, var.aval) for x, var in zip(outputs, jaxpr.outvars, strict=True)]

    def _body(self, replaced: frozenset[str]) -> Body:
        body = self._bodies.get(replaced)
        if body is None:
            every_output = (True,) * len(self._closed.jaxpr.outvars)
            body = Preparation(replaced).body(self._closed, every_output)
            self._bodies[replaced] = body
        return body

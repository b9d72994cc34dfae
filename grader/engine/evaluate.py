"""Evaluate a jaxpr with NumPy, in float64, primitive by primitive.

No XLA compilation happens and no JAX backend is started, unless a primitive has no NumPy rule.

A jaxpr is prepared once: the equations that matter to its outputs become steps over numbered
slots, with everything static worked out. Sub-jaxprs become bodies of their own, shared by the
equations that use them in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jax.extend.core import Literal

from grader.engine.rules import RULES
from grader.engine.rules.fallback import evaluate_with_jax
from grader.engine.rules.values import held_dtype, hold, release

__all__ = ["Program", "Recorder", "Special"]

Special = Callable[[Any, list[np.ndarray]], list[np.ndarray]]
"""(equation, held input values) to held output values."""

Recorder = Callable[[Any, list[np.ndarray]], None]
"""(equation, held output values), called after each evaluated leaf equation."""

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
    "composite": ("jaxpr",),
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
        consts, carries = eqn.params["num_consts"], eqn.params["num_carry"]
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


_MOST_ELEMENTS = 2**31

CONTROL_FLOW = frozenset({"scan", "while", "cond"})

_NOTHING, _DISCARD, _FIRST_INPUT = range(3)
"""Slots: what is never computed, where unread results go, and where the inputs start."""


class Run(NamedTuple):
    """What one run hands down to every body it enters."""

    special: Mapping[str, Special]
    record: Recorder | None
    fallbacks: set[str]


Body = Callable[[Run, Sequence[Any]], list[Any]]
"""Values of all inputs (None for unread ones) to values of all outputs (None for unread ones)."""


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

    def body(self, jaxpr: Any, used: Used) -> Body:
        """The body of an open or closed jaxpr, computing the outputs that `used` flags."""
        key = (id(jaxpr), used)
        body = self._bodies.get(key)
        if body is None:
            body = self._bodies[key] = self._prepare(jaxpr, used)
        return body

    def _prepare(self, jaxpr: Any, used: Used) -> Body:
        plain = opened(jaxpr)
        template: list[Any] = [None] * (_FIRST_INPUT + len(plain.invars))
        slot_of = {var: slot for slot, var in enumerate(plain.invars, start=_FIRST_INPUT)}

        def constant(value: Any, aval: Any) -> int:
            template.append(hold(value, aval))
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
            return self._scan(eqn, outputs)
        if name == "while":
            return self._while(eqn)
        if name == "cond":
            return self._cond(eqn, outputs)
        called = called_jaxpr(eqn)
        return None if called is None else self.body(called, outputs)

    def _cond(self, eqn: Any, outputs: Used) -> Body:
        branches = [self.body(branch, outputs) for branch in eqn.params["branches"]]
        last = len(branches) - 1

        def choose(run: Run, values: Sequence[Any]) -> list[Any]:
            index = min(max(int(values[0]), 0), last)
            return branches[index](run, values[1:])

        return choose

    def _while(self, eqn: Any) -> Body:
        condition = self.body(eqn.params["cond_jaxpr"], (True,))
        body = self.body(eqn.params["body_jaxpr"], (True,) * len(eqn.outvars))
        condition_end = eqn.params["cond_nconsts"]
        body_end = condition_end + eqn.params["body_nconsts"]

        def repeat(run: Run, values: Sequence[Any]) -> list[Any]:
            condition_consts = values[:condition_end]
            body_consts = values[condition_end:body_end]
            carry = list(values[body_end:])
            while condition(run, [*condition_consts, *carry])[0]:
                carry = body(run, [*body_consts, *carry])
            return carry

        def repeat_batched(run: Run, values: Sequence[Any]) -> list[Any]:
            condition_consts = values[:condition_end]
            body_consts = values[condition_end:body_end]
            carry = list(values[body_end:])
            while True:
                going = np.asarray(condition(run, [*condition_consts, *carry])[0])
                if not going.any():
                    return carry
                after = body(run, [*body_consts, *carry])
                carry = [_where(going, new, old) for new, old in zip(after, carry, strict=True)]

        # Under vmap each element of the batch stops by itself.
        is_batched = opened(eqn.params["cond_jaxpr"]).outvars[0].aval.ndim > 0
        return repeat_batched if is_batched else repeat

    def _scan(self, eqn: Any, outputs: Used) -> Body:
        use = self._liveness.scan(eqn, outputs)
        body = self.body(eqn.params["jaxpr"], use.outputs)
        consts_end = eqn.params["num_consts"]
        carries = eqn.params["num_carry"]
        carry_end = consts_end + carries
        length = eqn.params["length"]
        order = range(length - 1, -1, -1) if eqn.params["reverse"] else range(length)
        sliced = use.inputs[carry_end:]
        stacked = [
            (index, tuple(var.aval.shape), held_dtype(var.aval.dtype))
            for index, var in enumerate(eqn.outvars)
            if index >= carries and outputs[index]
        ]

        def iterate(run: Run, values: Sequence[Any]) -> list[Any]:
            consts, carry = values[:consts_end], values[consts_end:carry_end]
            columns = [
                x if is_read else None
                for x, is_read in zip(values[carry_end:], sliced, strict=True)
            ]
            stacks: list[Any] = [None] * (len(outputs) - carries)
            for index, shape, dtype in stacked:
                stacks[index - carries] = np.empty(shape, dtype)
            kept = None if run.record is None else _Iterations(run.record)
            for i in order:
                rows = [None if column is None else column[i] for column in columns]
                inner = run if kept is None else run._replace(record=kept.next())
                produced = body(inner, [*consts, *carry, *rows])
                carry = produced[:carries]
                for index, _, _ in stacked:
                    stacks[index - carries][i] = produced[index]
            if kept is not None:
                kept.tell_stacked(reverse=eqn.params["reverse"])
            return [*carry, *stacks]

        return iterate


class _Iterations:
    """Records each iteration of a loop, and what all iterations made, stacked.

    A loop over heads makes the attention weights of one head at a time; who looks for those of
    all heads finds them in the stack.
    """

    def __init__(self, record: Recorder) -> None:
        self._record = record
        self._made: list[list[tuple[Any, list[np.ndarray]]]] = []

    def next(self) -> Recorder:
        """The recorder of the next iteration."""
        made: list[tuple[Any, list[np.ndarray]]] = []
        self._made.append(made)

        def record(eqn: Any, values: list[np.ndarray]) -> None:
            made.append((eqn, values))
            self._record(eqn, values)

        return record

    def tell_stacked(self, reverse: bool) -> None:
        """Record what every iteration made, iterations along a new first axis."""
        iterations = self._made[::-1] if reverse else self._made
        for together in zip(*iterations, strict=False):
            eqn = together[0][0]
            if all(other is eqn for other, _ in together) and eqn.primitive.name != "name":
                columns = zip(*(values for _, values in together), strict=True)
                if len({value.shape for _, values in together for value in values}) == 1:
                    self._record(eqn, [np.stack(column) for column in columns])


def _interpreter(template: list[Any], width: int, steps: list[_Step], results: list[int]) -> Body:
    inputs_end = _FIRST_INPUT + width

    def interpret(run: Run, inputs: Sequence[Any]) -> list[Any]:
        slots = template.copy()
        slots[_FIRST_INPUT:inputs_end] = inputs
        record = run.record
        for kind, compute, arguments, targets, eqn in steps:
            if kind == _ONE_RESULT:
                value = compute(*[slots[i] for i in arguments])
                slots[targets] = value
                if record is not None:
                    record(eqn, [np.asarray(value)])
                continue
            if kind == _MANY_RESULTS:
                values = compute(*[slots[i] for i in arguments])
            elif kind == _OUTSIDE:
                values = compute(run, eqn, [np.asarray(slots[i]) for i in arguments])
            else:
                values = compute(run, [slots[i] for i in arguments])
            for slot, value in zip(targets, values, strict=True):
                slots[slot] = value
            if record is not None and kind != _NESTED:
                record(eqn, [np.asarray(value) for value in values])
        return [slots[i] for i in results]

    return interpret


def _where(leading: np.ndarray, new: Any, old: Any) -> Any:
    """Select along the leading axes."""
    room = (1,) * (np.ndim(new) - leading.ndim)
    return np.where(leading.reshape(leading.shape + room), new, old)


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
    return name in RULES or name in CONTROL_FLOW or name in CALLED


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
    ) -> list[np.ndarray]:
        """Evaluate on `inputs`, one per input variable of the jaxpr, in order.

        PRNG keys go in and come out as uint32 words with a trailing axis of 2; a jax key array
        is accepted too. `special` replaces the rules of the primitives it names; `record` sees
        every evaluated leaf equation, also inside called jaxprs, once per iteration. Both see
        values as they are held: floats as float64, keys as uint64 of the logical shape.
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
            outputs = body(Run(replaced, record, self.fallbacks), held)
        return [release(x, var.aval) for x, var in zip(outputs, jaxpr.outvars, strict=True)]

    def _body(self, replaced: frozenset[str]) -> Body:
        body = self._bodies.get(replaced)
        if body is None:
            every_output = (True,) * len(self._closed.jaxpr.outvars)
            body = Preparation(replaced).body(self._closed, every_output)
            self._bodies[replaced] = body
        return body

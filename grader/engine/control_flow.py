"""Loops and branches: one body made of others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from grader.engine.liveness import ScanUse, Used, opened
from grader.engine.origins import Origins
from grader.engine.rules.values import held_dtype
from grader.jaxprs import scan_widths

Special = Callable[[Any, list[np.ndarray]], list[np.ndarray]]
"""(equation, held input values) to held output values."""

Recorder = Callable[[Any, list[np.ndarray]], None]
"""(equation, held output values), called after each evaluated leaf equation."""


class Run(NamedTuple):
    """What one run hands down to every body it enters."""

    special: Mapping[str, Special]
    record: Recorder | None
    origins: Origins | None
    fallbacks: set[str]


Body = Callable[[Run, Sequence[Any]], list[Any]]
"""Values of all inputs (None for unread ones) to values of all outputs (None for unread ones)."""

Prepare = Callable[[Any, Used], Body]
"""(jaxpr, outputs in use) to the body that computes them."""

CONTROL_FLOW = frozenset({"scan", "while", "cond"})


def cond(prepare: Prepare, eqn: Any, outputs: Used) -> Body:
    """One of several branches."""
    branches = [prepare(branch, outputs) for branch in eqn.params["branches"]]
    last = len(branches) - 1

    def choose(run: Run, values: Sequence[Any]) -> list[Any]:
        index = min(max(int(values[0]), 0), last)
        return branches[index](run, values[1:])

    return choose


def while_loop(prepare: Prepare, eqn: Any) -> Body:
    """As often as a condition says; under vmap each element of the batch stops by itself."""
    condition = prepare(eqn.params["cond_jaxpr"], (True,))
    body = prepare(eqn.params["body_jaxpr"], (True,) * len(eqn.outvars))
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
        if run.origins is not None:
            run.origins.lose()
        while True:
            going = np.asarray(condition(run, [*condition_consts, *carry])[0])
            if not going.any():
                return carry
            after = body(run, [*body_consts, *carry])
            carry = [_where(going, new, old) for new, old in zip(after, carry, strict=True)]

    is_batched = opened(eqn.params["cond_jaxpr"]).outvars[0].aval.ndim > 0
    return repeat_batched if is_batched else repeat


def scan(prepare: Prepare, eqn: Any, outputs: Used, use: ScanUse) -> Body:
    """A body for each row of the inputs, carrying values along."""
    body = prepare(eqn.params["jaxpr"], use.outputs)
    consts_end, carries = scan_widths(eqn.params)
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
            x if is_read else None for x, is_read in zip(values[carry_end:], sliced, strict=True)
        ]
        stacks: list[Any] = [None] * (len(outputs) - carries)
        for index, shape, dtype in stacked:
            stacks[index - carries] = np.empty(shape, dtype)
        kept = None if run.record is None else _Iterations(run.record, run.origins)
        for i in order:
            rows = [None if column is None else column[i] for column in columns]
            inner = run if kept is None else run._replace(record=kept.next(rows, columns))
            produced = body(inner, [*consts, *carry, *rows])
            carry = produced[:carries]
            if kept is not None:
                kept.produced(produced[carries:])
            for index, _, _ in stacked:
                stacks[index - carries][i] = produced[index]
        if kept is not None:
            kept.tell_stacked(stacks, reverse=eqn.params["reverse"])
        return [*carry, *stacks]

    return iterate


class _Iterations:
    """Records each iteration of a loop, and what all iterations made, stacked.

    A loop over heads makes the attention weights of one head at a time; who looks for those of
    all heads finds them in the stack.
    """

    def __init__(self, record: Recorder, origins: Origins | None) -> None:
        self._record = record
        self._origins = origins
        self._made: list[list[tuple[Any, list[np.ndarray]]]] = []
        self._rows: list[Sequence[Any]] = []

    def next(self, rows: Sequence[Any], columns: Sequence[Any]) -> Recorder:
        """The recorder of the next iteration, which gets these rows of what is gone through."""
        if self._origins is not None:
            for row, column in zip(rows, columns, strict=True):
                self._origins.share(row, [column])
        made: list[tuple[Any, list[np.ndarray]]] = []
        self._made.append(made)

        def record(eqn: Any, values: list[np.ndarray]) -> None:
            made.append((eqn, values))
            self._record(eqn, values)

        return record

    def produced(self, rows: Sequence[Any]) -> None:
        """Note the rows that an iteration adds to the stacks that come out."""
        self._rows.append(rows)

    def tell_stacked(self, stacks: Sequence[Any], reverse: bool) -> None:
        """Record what every iteration made, iterations along a new first axis.

        Args:
          stacks: of the rows that `produced` was told.
          reverse: whether the last iteration comes first in them.

        """
        if self._origins is not None and self._rows:
            for stack, rows in zip(stacks, zip(*self._rows, strict=True), strict=True):
                self._origins.share(stack, rows)
        iterations = self._made[::-1] if reverse else self._made
        for together in zip(*iterations, strict=False):
            eqn = together[0][0]
            if all(other is eqn for other, _ in together) and eqn.primitive.name != "name":
                columns = zip(*(values for _, values in together), strict=True)
                if len({value.shape for _, values in together for value in values}) == 1:
                    stacked = [np.stack(column) for column in columns]
                    self._record(eqn, stacked)
                    if self._origins is not None:
                        made = [value for _, values in together for value in values]
                        self._origins.note(stacked, made)


def _where(leading: np.ndarray, new: Any, old: Any) -> Any:
    """Select along the leading axes."""
    room = (1,) * (np.ndim(new) - leading.ndim)
    return np.where(leading.reshape(leading.shape + room), new, old)

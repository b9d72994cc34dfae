"""A contract function traced at one draw of sizes: what it creates, and how to evaluate it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import numpy as np

from grader.engine import init_equation, lift
from grader.engine.dataflow import stage_ancestors
from grader.engine.evaluate import Program
from grader.engine.found_leaves import found_leaves
from grader.engine.interpreted import interpreted
from grader.engine.jaxprs import narrow_type, random_line, source_lines
from grader.engine.layout import Leaf
from grader.engine.origins import Origins
from grader.engine.results import as_arrays, form_of
from grader.engine.rules.values import is_threefry, other_key, words_from_keys
from grader.problem import Contract, Sizes


@dataclass(frozen=True)
class Output:
    """An array that the function returns: where in the result, its shape and dtype name."""

    label: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Intermediate:
    """A value that came up on the way: its line in the submission (0: unknown) and stage name."""

    value: np.ndarray
    line: int
    stage: str | None


class Traced:
    """``contract`` of a function, traced with ``sizes`` and ``seed``.

    With ``batch`` the function is mapped over that many inputs by ``jax.vmap``; with ``drawn``
    the parameters that it would really create can be asked for, too.  ``foreseen`` says what its
    ``init`` is known to create, so that it need not be traced.

    Attributes:
      leaves: the parameters that it creates.
      collections: names of Linen collections other than ``params`` that it creates.
      outputs: what it returns.
      form: how a caller takes that apart.

    """

    def __init__(
        self,
        contract: Contract,
        function: Callable[..., Any],
        seed: int,
        sizes: Sizes,
        batch: int | None = None,
        drawn: bool = False,
        foreseen: Sequence[init_equation.Inventory] | None = None,
    ) -> None:
        self.drawn = drawn
        self.array_names = tuple(sorted(contract.arrays(sizes)))
        whole, shapes = _of_arrays(contract, function, seed, sizes, batch)
        self.closed, result = lift.trace(whole, *shapes, shapes_only=not drawn, foreseen=foreseen)
        self.program = Program(self.closed)
        flat, _ = jax.tree_util.tree_flatten_with_path(result)
        self.outputs = tuple(
            Output(_label(path, i, contract), tuple(leaf.shape), str(leaf.dtype))
            for i, (path, leaf) in enumerate(flat)
        )
        self.form = form_of(result)
        created = found_leaves(self.closed.jaxpr, drawn)
        self.leaves, self.collections = created.leaves, created.collections
        self._slots, self.stage_clock = created.slots, created.stage_clock

    def in_pieces(self) -> list[Leaf]:
        """The parameters, and in place of those that are cut apart their pieces."""
        from grader.engine.pieces import in_pieces

        return in_pieces(self.closed.jaxpr, self.leaves, self._slots)

    @cached_property
    def sizes_created(self) -> Counter[int]:
        """The sizes of what the first ``init`` creates."""
        first = init_equation.init_equations(self.closed.jaxpr)[:1]
        return Counter(
            math.prod(variable.shape)
            for eqn in first
            for variable in init_equation.created_variables(eqn)
        )

    @cached_property
    def inventories(self) -> list[init_equation.Inventory]:
        """What each ``init`` creates, to foresee it in a function that differs elsewhere."""
        return init_equation.inventories(self.closed.jaxpr)

    @cached_property
    def narrow(self) -> str:
        """A float type of less than 32 bits that it computes in, or an empty text."""
        return narrow_type(self.closed.jaxpr)

    @cached_property
    def random_line(self) -> int | None:
        """Whether random numbers are drawn while the function runs (None: not)."""
        return random_line(self.closed.jaxpr, "")

    @property
    def stage_ancestors(self) -> list[frozenset[int]]:
        """For each named stage, in the order of the computation, the stages it depends on."""
        return self._ancestors[0]

    @property
    def output_ancestors(self) -> list[frozenset[int]]:
        """For each output the numbers of the named stages that it depends on."""
        return self._ancestors[1]

    @cached_property
    def _ancestors(self) -> tuple[list[frozenset[int]], list[frozenset[int]]]:
        return stage_ancestors(self.closed.jaxpr)

    def run(self, weights: Sequence[np.ndarray], arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The outputs, in float64, for these weights and input arrays (by sorted name)."""
        return self.program.run(arrays, special=self._feeding(weights))

    def run_recorded(
        self,
        weights: Sequence[np.ndarray],
        arrays: Sequence[np.ndarray],
        filename: str = "",
        origins: Origins | None = None,
    ) -> tuple[list[np.ndarray], list[Intermediate]]:
        """The outputs, and every floating-point value that came up, in order.

        ``origins`` is told what each of them was computed from.
        """
        seen: list[Intermediate] = []
        lines: dict[int, int] = {}

        def record(eqn: Any, values: list[np.ndarray]) -> None:
            if id(eqn) not in lines:
                lines[id(eqn)] = next(iter(source_lines(eqn, filename)), 0)
            stage = eqn.params["name"] if eqn.primitive.name == "name" else None
            seen.extend(
                Intermediate(v, lines[id(eqn)], stage) for v in values if v.dtype == np.float64
            )

        feeding = self._feeding(weights)
        outputs = self.program.run(arrays, special=feeding, record=record, origins=origins)
        return outputs, seen

    def initial_values(self, arrays: Sequence[np.ndarray]) -> tuple[list[np.ndarray], list[int]]:
        """The parameters that the function would really create, drawn as JAX draws them.

        And the numbers that random keys are made of on the way, modulo 2**32.
        """
        drawn: dict[int, np.ndarray] = {}
        numbers: list[int] = []

        def note(eqn: Any, values: list[np.ndarray]) -> None:
            if eqn.primitive.name == "random_seed" and is_threefry(eqn.outvars[0].aval.dtype):
                numbers.extend(words_from_keys(values[0])[..., -1].ravel().tolist())

        def draw(eqn: Any, inputs: list[np.ndarray]) -> list[np.ndarray]:
            values = Program(eqn.params["program"]).run(inputs, record=note)
            slots = self._slots.get(id(eqn), ())
            drawn.update((i, v) for i, v in zip(slots, values, strict=False) if i is not None)
            return values

        self.program.run(arrays, special={"linen_init": draw}, record=note)
        return [drawn[i] for i in sorted(drawn)], numbers

    def starts(self, leaf: int, times: int, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """How a parameter would start with as many other keys."""
        drawn: list[np.ndarray] = []

        def draw(eqn: Any, inputs: list[np.ndarray]) -> list[np.ndarray]:
            program, slots = eqn.params["program"], self._slots.get(id(eqn), [])
            if leaf in slots and not drawn:
                outvar = program.jaxpr.outvars[slots.index(leaf)]
                alone = Program(program.replace(jaxpr=program.jaxpr.replace(outvars=[outvar])))
                for number in range(times):
                    drawn.extend(alone.run([other_key(x, number) for x in inputs]))
            return [np.zeros(var.aval.shape) for var in eqn.outvars]

        self.program.run(arrays, special={"linen_init": draw})
        return drawn

    def _feeding(self, weights: Sequence[np.ndarray]) -> Mapping[str, Any]:
        def feed(eqn: Any, _: list[np.ndarray]) -> list[np.ndarray]:
            return [
                np.zeros(var.aval.shape) if i is None else weights[i]
                for i, var in zip(self._slots[id(eqn)], eqn.outvars, strict=True)
            ]

        return {"linen_init": feed}

    def pure(self, weights: Sequence[Any], arrays: Sequence[Any]) -> list[Any]:
        """The same function for JAX: to differentiate it or to compile it."""
        return interpreted(self.closed.jaxpr, self.closed.consts, arrays, self._slots, weights)

    def gradients(
        self,
        weights: Sequence[np.ndarray],
        arrays: Sequence[np.ndarray],
        cotangents: Sequence[np.ndarray],
    ) -> list[np.ndarray]:
        """D Σ(cotangent · output) / d x, in float64, for every weight, then for every input that
        something that learns has made.
        """
        return self.gradient_program.run([*weights, *arrays, *cotangents])

    @property
    def made_before(self) -> bool:
        """Whether the inputs are made by something that learns: tokens are, an image is not."""
        return "image" not in self.array_names

    @cached_property
    def gradient_program(self) -> Program:
        """What ``gradients`` evaluates: of weights, inputs and cotangents, in this order."""

        def total(leaves: list[Any], given: list[Any], cotangents: list[Any]) -> Any:
            outputs = self.pure(leaves, given)
            return sum((o * c).sum() for o, c in zip(outputs, cotangents, strict=True))

        leaves = [jax.ShapeDtypeStruct(leaf.shape, np.float32) for leaf in self.leaves]
        given = [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in self.closed.jaxpr.invars]
        like = [jax.ShapeDtypeStruct(output.shape, np.float32) for output in self.outputs]

        def differentiated(leaves: list[Any], given: list[Any], cotangents: list[Any]) -> list[Any]:
            if not self.made_before:
                return list(jax.grad(total)(leaves, given, cotangents))
            by_leaf, by_input = jax.grad(total, argnums=(0, 1))(leaves, given, cotangents)
            return [*by_leaf, *by_input]

        return Program(jax.make_jaxpr(differentiated)(leaves, given, like))


def sizes_created(
    contract: Contract, function: Callable[..., Any], seed: int, sizes: Sizes
) -> Counter[int]:
    """The sizes of what the first ``init`` creates; the rest is not traced."""
    whole, shapes = _of_arrays(contract, function, seed, sizes, None)
    return lift.sizes_created(whole, *shapes)


def _of_arrays(
    contract: Contract,
    function: Callable[..., Any],
    seed: int,
    sizes: Sizes,
    batch: int | None,
) -> tuple[Callable[..., Any], list[jax.ShapeDtypeStruct]]:
    """The contract function as one of its input arrays only, by sorted name; their shapes."""
    specs = contract.arrays(sizes)
    names = sorted(specs)
    lead = () if batch is None else (batch,)
    shapes = [jax.ShapeDtypeStruct((*lead, *specs[n].shape), _dtype(specs[n])) for n in names]

    def run(*arrays: Any) -> Any:
        given = dict(zip(names, arrays, strict=True))
        return as_arrays(contract.run(function, seed, sizes, given))

    return (run if batch is None else jax.vmap(run)), shapes


def _dtype(spec: Any) -> Any:
    return np.float32 if spec.below is None else np.int32


def _label(path: Any, index: int, contract: Contract) -> str:
    if index < len(contract.outputs):
        return contract.outputs[index]
    return jax.tree_util.keystr(path) or "result"

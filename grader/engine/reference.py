"""Load reference solutions, as they are or edited into a known mistake."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import cache
from types import ModuleType
from typing import Any

import flax.linen as nn

from grader import blocks, catalogue
from grader.catalogue import BrokenProblem, problem, solution_path
from grader.engine import known_calls
from grader.engine.layout import Kinds
from grader.engine.process import Lost
from grader.engine.submission import load
from grader.engine.traced import Traced, sizes_created
from grader.faults import error_words
from grader.problem import Contract, Edit, Sizes


class EditDoesNotApply(ValueError):
    """The text that an edit replaces does not stand exactly once in the solution."""


@cache
def solution_text(number: int) -> str:
    """The text of a reference solution."""
    return catalogue.solution_text(number)


def apply_edits(source: str, edits: Iterable[Edit], name: str = "the solution") -> str:
    """``source`` with every edit carried out.

    Raises:
      EditDoesNotApply: a text to replace stands there not once.

    """
    for edit in edits:
        count = source.count(edit.old)
        if count != 1:
            raise EditDoesNotApply(f"{edit.old!r} stands {count} times in {name}, not once")
        source = source.replace(edit.old, edit.new)
    return source


class Solutions:
    """The reference modules, each loaded once; ``use`` inside them stays among themselves.

    Args:
      edits: what to change, by problem number.
      like: solutions that create the same parameters; what is traced of them makes tracing these
        quicker.

    """

    def __init__(
        self,
        edits: Mapping[int, Iterable[Edit]] | None = None,
        like: Solutions | None = None,
    ) -> None:
        self._edits = edits or {}
        self._like = like
        self._modules: dict[int, ModuleType] = {}
        self._traces: dict[tuple[Any, ...], Traced] = {}

    def module(self, number: int) -> ModuleType:
        """The (edited) solution of one problem."""
        if self._edits and not self._touched(number):
            return unedited().module(number)
        if number not in self._modules:
            path = solution_path(number)
            source = apply_edits(solution_text(number), self._edits.get(number, ()), path.name)
            with self.active():
                name = f"reference_{number}"
                self._modules[number] = load(source, str(path), name)
        return self._modules[number]

    def created(self, number: int, contract: Contract, seed: int, sizes: Sizes) -> Counter[int]:
        """The sizes of the parameters that a contract of the reference creates."""
        known = self._known(_key(number, contract, seed, sizes, None))
        if known is not None:
            return known.sizes_created
        function: Any = getattr(self.module(number), contract.function)
        with self.active():
            return sizes_created(contract, function, seed, sizes)

    def _alike(self, key: tuple[Any, ...]) -> Traced | None:
        """What is traced already of the solutions that create the same parameters."""
        return None if self._like is None else self._like._known(key)

    def _known(self, key: tuple[Any, ...]) -> Traced | None:
        """What is traced already, whether with the kinds of the parameters or without."""
        return self._traces.get(key) or self._traces.get((*key[:-1], not key[-1]))

    def _touched(self, number: int) -> bool:
        """Whether an edit reaches this module, itself or through a block that it uses."""
        return number in self._edits or any(map(self._touched, problem(number).blocks))

    @contextmanager
    def active(self) -> Iterator[None]:
        """Within this block ``use`` gives these modules."""
        with blocks.resolving(self.module):
            yield

    def trace(
        self,
        number: int,
        contract: Contract,
        seed: int,
        sizes: Sizes,
        kinds: Kinds | None = None,
    ) -> Traced:
        """A contract of the reference at one draw of sizes.

        ``kinds`` says how parameters start; without it the trace finds out, which takes longer.

        Raises:
          BrokenProblem: the reference as it is cannot be traced.  (Of an edited one, whatever it
            raises.)

        """
        key = _key(number, contract, seed, sizes, kinds)
        if key not in self._traces:
            with self._blaming(number):
                self._traces[key] = self._traced(number, contract, seed, sizes, kinds)
        return self._traces[key]

    @contextmanager
    def _blaming(self, number: int) -> Iterator[None]:
        """Within this block errors of the reference as it is are told to its author."""
        try:
            yield
        except (BrokenProblem, Lost):
            raise
        except Exception as error:
            if self._edits:
                raise
            raise BrokenProblem(error_words(error, solution_path(number))) from error

    def _traced(
        self, number: int, contract: Contract, seed: int, sizes: Sizes, kinds: Kinds | None
    ) -> Traced:
        function: Any = getattr(self.module(number), contract.function)
        with self.active():
            traced = None
            alike = self._alike(_key(number, contract, seed, sizes, kinds))
            reused = kinds is not None and self._edits
            with nn.intercept_methods(known_calls.reuse) if reused else nullcontext():
                if alike is not None and kinds is not None:
                    traced = _foreseen(alike, contract, function, seed, sizes)
                traced = traced or Traced(contract, function, seed, sizes, drawn=kinds is None)
        if kinds is not None:
            traced.leaves = kinds.told(traced.leaves)
        return traced


def _key(
    number: int, contract: Contract, seed: int, sizes: Sizes, kinds: Kinds | None
) -> tuple[Any, ...]:
    return number, contract.function, seed, tuple(sizes.items()), kinds is None


def _foreseen(
    alike: Traced, contract: Contract, function: Any, seed: int, sizes: Sizes
) -> Traced | None:
    """A trace that takes the parameters from another; None where they turn out to differ."""
    try:
        traced = Traced(contract, function, seed, sizes, foreseen=alike.inventories)
    except Exception:
        return None
    return traced if all(leaf.used is not None for leaf in traced.leaves) else None


@cache
def unedited() -> Solutions:
    """The reference as it is; one for the whole process, so that its traces are made once."""
    return Solutions()


def edits_by_problem(number: int, edits: Iterable[Edit]) -> dict[int, list[Edit]]:
    """Group edits by the solution that they change; ``number`` where they do not say."""
    grouped: dict[int, list[Edit]] = defaultdict(list)
    for edit in edits:
        grouped[edit.problem or number].append(edit)
    return dict(grouped)


def forget() -> None:
    """Drop every text and module of the solutions that this process holds."""
    solution_text.cache_clear()
    unedited.cache_clear()

"""``use``: build a later problem on the blocks of an earlier one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType

Resolver = Callable[[int], ModuleType]

_resolvers: list[Resolver] = []


def use(number: int) -> ModuleType:
    """Bring in the blocks of an earlier problem.

    In a stub: ``EncoderBlock`` of problem 41 is an attribute of what ``use`` gives for 41.

    While a submission is graded this is the student's own file when it has passed, else the
    reference; the report says which.  Elsewhere it is the reference.

    Args:
      number: the problem's number, e.g. 41.

    Raises:
      LookupError: there is no such problem.

    """
    if _resolvers:
        return _resolvers[-1](number)
    return _References().module(number)


class _References:
    """The reference solutions as they are; ``use`` inside them stays among themselves.

    The engine's `Solutions` can edit and trace them, too; who only wants to use them needs none
    of the engine.
    """

    def __init__(self) -> None:
        self._modules: dict[int, ModuleType] = {}

    def module(self, number: int) -> ModuleType:
        """The solution of one problem, run once."""
        if number not in self._modules:
            from grader.catalogue import solution_path

            path = solution_path(number)
            code = compile(path.read_text(encoding="utf-8"), str(path), "exec", dont_inherit=True)
            module = ModuleType(f"reference_{number}")
            module.__file__ = str(path)
            sys.modules[module.__name__] = module
            with resolving(self.module):
                exec(code, module.__dict__)
            self._modules[number] = module
        return self._modules[number]


def resolve_from_now_on(resolver: Resolver) -> None:
    """Let ``use`` ask ``resolver`` for as long as this process lives."""
    _resolvers.append(resolver)


@contextmanager
def resolving(resolver: Resolver) -> Iterator[None]:
    """Within this block ``use`` asks ``resolver``."""
    _resolvers.append(resolver)
    try:
        yield
    finally:
        _resolvers.remove(resolver)

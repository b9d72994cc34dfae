"""``use``: build a later problem on the blocks of an earlier one."""

from __future__ import annotations

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
    from grader.engine.reference import Solutions

    return Solutions().module(number)


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

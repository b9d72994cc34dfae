"""Keep a submission from the answers, and tell it so in words.

The locks are in ``sandbox_files`` and ``sandbox_calls``, below Python, where the machine has
them.  What stands here says in one line what was tried, and holds off honest people and the
curious where it has not.  An audit hook cannot be taken out again by Python code.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

from grader import catalogue
from grader.catalogue import ROOT, SOLUTIONS
from grader.problem import Edit, Pitfall, Problem, Variant

CLOSED = tuple(
    os.path.realpath(folder)
    for folder in (SOLUTIONS, ROOT / "grader/specs", ROOT / "tests/answers")
)
MAY_NOT = (
    "answers run isolated: they read Python's own files, write in their working folder only, "
    "and start no processes"
)
_OPENS = ("open", "os.listdir", "os.scandir")
_REFUSED = {
    "os.fork": "start other processes",
    "os.forkpty": "start other processes",
    "os.exec": "start other processes",
    "os.posix_spawn": "start other processes",
    "os.system": "start other processes",
    "subprocess.Popen": "start other processes",
    "pty.spawn": "start other processes",
    "socket.connect": "use the network",
    "socket.bind": "use the network",
    "socket.getaddrinfo": "use the network",
    "socket.sendto": "use the network",
}


class Refused(PermissionError):
    """A submission tried what an answer may not do."""


class Peeked(Refused):
    """A submission tried to read a reference solution or the list of mistakes."""


def without_answers(number: int) -> Problem:
    """The problem, for a process that must not know its mistakes: they quote the reference.

    Problems are emptied where they stand, since frames of the judge's code, which a fork keeps,
    still hold them.
    """
    problem = catalogue.problem(number)
    catalogue.problem.cache_clear()
    for name in [name for name in sys.modules if name.startswith("grader.specs.p")]:
        known = vars(sys.modules.pop(name))
        problems = [value for value in known.values() if isinstance(value, Problem)]
        needed = set[str]()
        for value in (*known.values(), *(v for p in problems for v in _functions_of(p))):
            if isinstance(value, FunctionType):
                needed |= _names_in(value.__code__)
        for key in [key for key, value in known.items() if key[0] != "_" and _tells(value)]:
            if key not in needed:
                del known[key]
        for each in problems:
            for told in ("pitfalls", "variants", "hints"):
                object.__setattr__(each, told, ())
    return problem


def _functions_of(problem: Problem) -> Iterator[Any]:
    """What the contracts of a problem call: it must keep the names that it reads."""
    properties = [claim for contract in problem.contracts for claim in contract.properties]
    for part in (problem, *problem.contracts, *properties):
        yield from vars(part).values()


def _names_in(code: CodeType) -> set[str]:
    inner = (_names_in(value) for value in code.co_consts if isinstance(value, CodeType))
    return set(code.co_names).union(*inner)


def _tells(value: object) -> bool:
    """Whether a name of a spec may hold mistakes, or pieces of the reference."""
    if isinstance(value, tuple | list) and value:
        return _tells(value[0])
    return isinstance(value, str | Problem | Pitfall | Variant | Edit)


def close_the_answers() -> None:
    """From now on this process cannot open solutions, specs or shipped answers."""
    for name in ("grader.engine.reference", "grader.engine.suspects"):
        if name in sys.modules:
            sys.modules[name].forget()
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _REFUSED:
        raise Refused(f"an answer may not {_REFUSED[event]} ({event})")
    if event not in _OPENS or not arguments:
        return
    path = arguments[0]
    if isinstance(path, bytes):
        path = os.fsdecode(path)
    if isinstance(path, str | os.PathLike):
        real = os.path.realpath(path)
        if any(real == closed or real.startswith(closed + os.sep) for closed in CLOSED):
            name = os.path.relpath(real, ROOT)
            raise Peeked(f"{name} is closed to an answer; earlier blocks come in with use()")

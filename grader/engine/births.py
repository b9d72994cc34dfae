"""Fork the processes that run submissions, and learn how they ended."""

from __future__ import annotations

import contextlib
import fcntl
import gc
import json
import os
import signal
import socket
import struct
import sys
import time
from dataclasses import asdict, dataclass
from typing import NoReturn, Protocol, TextIO

CHILDREN = 2
"""How many processes run a submission."""
Descriptors = tuple[int, int, int]
"""What a child is given: requests to read, replies to write, and where its prints go."""


@dataclass(frozen=True)
class Birth:
    """What a child is for.

    Attributes:
      problem: the number of the problem whose contracts it will trace.
      scratch: its working folder.
      seconds: how long it will be waited for.
      elsewhen: whether it lives under another clock, so that answers which look at it show.

    """

    problem: int
    scratch: str
    seconds: float
    elsewhen: bool = False


@dataclass(frozen=True)
class End:
    """How a child ended: its exit code (negative: a signal) and the most memory it held."""

    code: int
    memory: int


class Nursery(Protocol):
    """Where children come from."""

    def start(self, birth: Birth, descriptors: Descriptors) -> int:
        """Fork a child; its number."""

    def ended(self, pid: int, patience: float) -> End | None:
        """How the child ended; None when it has not within ``patience`` seconds."""

    def end(self, pid: int) -> None:
        """Kill the child with everything in its group, and wait until it is gone."""


class OwnForks:
    """Forks this very process.  It must not have started a JAX backend: a forked one hangs."""

    def __init__(self) -> None:
        self._ends: dict[int, End] = {}

    def start(self, birth: Birth, descriptors: Descriptors) -> int:
        """Fork a child; its number."""
        gc.freeze()  # what exists now is never collected: the child need not copy its pages
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            _become_child(birth, descriptors, parent)
        return pid

    def ended(self, pid: int, patience: float) -> End | None:
        """How the child ended; None when it has not within ``patience`` seconds."""
        until = time.monotonic() + patience
        while pid not in self._ends:
            if self._look(pid, os.WNOHANG) is None:
                if time.monotonic() >= until:
                    return None
                time.sleep(0.005)
        return self._ends[pid]

    def end(self, pid: int) -> None:
        """Kill the child with everything in its group, and wait until it is gone."""
        for kill in (os.killpg, os.kill):  # the group may not exist yet
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(pid, signal.SIGKILL)
        if pid not in self._ends:
            self._look(pid, 0)
        self._ends.pop(pid, None)

    def _look(self, pid: int, how: int) -> End | None:
        try:
            found, status, usage = os.wait4(pid, how)
        except ChildProcessError:
            found, self._ends[pid] = pid, End(0, 0)
            return self._ends[pid]
        if not found:
            return None
        unit = 1 if sys.platform == "darwin" else 1024
        self._ends[pid] = End(os.waitstatus_to_exitcode(status), usage.ru_maxrss * unit)
        return self._ends[pid]


class Zygote:
    """Asks another process, which has never seen a reference, to fork the children.

    A warm judge holds the references in memory.  A child forked from it would inherit them, and
    a submission could search its own memory for them.
    """

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._asked = 0

    def _ask(self, told: dict[str, object], descriptors: Descriptors | None = None) -> list[float]:
        self._asked += 1
        # A judge may be woken by its alarm before it has read an answer: the next to ask, itself
        # or the process that it is a fork of, must not take that answer for its own.
        mark = os.getpid() * 2**20 + self._asked % 2**20
        message = json.dumps({**told, "mark": mark}).encode()
        socket.send_fds(self._line, [message], list(descriptors or ()))
        while True:
            answered, *answer = _ANSWER.unpack(self._line.recv(_ANSWER.size))
            if answered == mark:
                return answer

    def start(self, birth: Birth, descriptors: Descriptors) -> int:
        """Fork a child; its number."""
        return int(self._ask({"do": "start", "birth": asdict(birth)}, descriptors)[0])

    def ended(self, pid: int, patience: float) -> End | None:
        """How the child ended; None when it has not within ``patience`` seconds."""
        known, code, memory = self._ask({"do": "ended", "pid": pid, "patience": patience})
        return End(int(code), int(memory)) if known else None

    def end(self, pid: int) -> None:
        """Kill the child with everything in its group, and wait until it is gone."""
        self._ask({"do": "end", "pid": pid})

    def prepare(self) -> None:
        """Have processes wait for the next order: there is time now."""
        self._ask({"do": "prepare"})

    def end_all(self) -> None:
        """End every child that is left, for a judge that could not do so itself."""
        self._ask({"do": "end all"})


_ANSWER = struct.Struct("=dddd")


def serve_births(line: socket.socket) -> None:
    """Fork what a ``Zygote`` asks for, until it hangs up."""
    from grader.engine.spares import Spares

    forks, alive, spares = OwnForks(), set[int](), Spares(_become_child)
    while True:
        message, given, _, _ = socket.recv_fds(line, 2**16, 3)
        if not message:
            break
        told = json.loads(message)
        answer: tuple[float, float, float] = (0, 0, 0)
        if told["do"] == "start":
            birth, descriptors = Birth(**told["birth"]), (given[0], given[1], given[2])
            pid = spares.start(birth, descriptors) or forks.start(birth, descriptors)
            alive.add(pid)
            answer = (pid, 0, 0)
        elif told["do"] == "ended":
            end = forks.ended(told["pid"], told["patience"])
            answer = (1, end.code, end.memory) if end else answer
        elif told["do"] == "end":
            forks.end(told["pid"])
            alive.discard(told["pid"])
        elif told["do"] == "prepare":
            spares.prepare(CHILDREN)
        else:
            while alive:
                forks.end(alive.pop())
        for descriptor in given:
            os.close(descriptor)
        line.sendall(_ANSWER.pack(told["mark"], *answer))
    spares.close()
    while alive:
        forks.end(alive.pop())


_nursery: Nursery = OwnForks()


def nursery() -> Nursery:
    """Where the children of this process come from."""
    return _nursery


def fork_elsewhere(zygote: Zygote) -> None:
    """From now on children of this process come from ``zygote``."""
    global _nursery
    _nursery = zygote


def _printing_to(descriptor: int) -> TextIO:
    """A stream that takes any text a submission prints, wherever the judge was started."""
    return open(descriptor, "w", 1, "utf-8", "backslashreplace", closefd=False)


def _become_child(birth: Birth, descriptors: Descriptors, parent: int) -> NoReturn:
    """The first thing the forked process does; it never returns to the judge's code."""
    code = 1
    try:
        os.setsid()
        # Where the judge was started with a closed stdin they may be numbers that are needed.
        requests, replies, printed = (fcntl.fcntl(d, fcntl.F_DUPFD, 3) for d in descriptors)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(printed, 1)
        os.dup2(printed, 2)
        low = 3
        for descriptor in sorted({requests, replies}):
            os.closerange(low, descriptor)
            low = descriptor + 1
        os.closerange(low, 65536)
        sys.stdout, sys.stderr = _printing_to(1), _printing_to(2)
        os.chdir(birth.scratch)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        from grader.engine.worker import serve

        serve(birth, parent, requests, replies)
        code = 0
    finally:
        os._exit(code)

"""Fixtures that the whole suite shares."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")

from grader.catalogue import ROOT
from grader.engine.quick_compile import QUICKLY
from grader.engine.warm_grader import WarmGrader

os.environ.setdefault(
    "XLA_FLAGS", " ".join(f"--{name}={str(value).lower()}" for name, value in QUICKLY.items())
)

for stops in (signal.SIGINT, signal.SIGHUP):  # in the background, or under nohup: ignored
    if signal.getsignal(stops) == signal.SIG_IGN:
        signal.signal(stops, signal.SIG_DFL)

Grade = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def warm() -> Iterator[WarmGrader]:
    """A warm grader process: tests may have started a JAX backend, it never does."""
    with WarmGrader() as grader:
        yield grader


@pytest.fixture
def grade_text(warm: WarmGrader, tmp_path: Path) -> Grade:
    """Grade a piece of source text as an answer to a problem.

    What takes long and most tests do not ask for is left out: a second process, which compiles,
    and the smallest case.
    """

    def run(source: str | bytes, problem: int, **options: Any) -> dict[str, Any]:
        path = tmp_path / "answer.py"
        path.write_bytes(source if isinstance(source, bytes) else source.encode())
        return warm.grade(path, problem, **{"two_children": False, "shrink": False, **options})

    return run


def run_command(
    *words: str, timeout: float = 120, cwd: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run ``python -m grader`` as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "grader", *words],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.fixture
def command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """``run_command``, for tests that take it as an argument."""
    return run_command


def stalled() -> float:
    """Seconds, since the machine began, in which some process was waiting for a core.

    By which what has a time limit may take longer (`grader.engine.fair_time`), twice where judge
    and child wait; 0 where the system does not tell.
    """
    try:
        some = Path("/proc/pressure/cpu").read_text().partition("\n")[0]
        return int(some.rpartition("=")[2]) / 1e6
    except (OSError, ValueError):
        return 0.0


def failed_checks(verdict: dict[str, Any]) -> list[str]:
    """The names of the checks that failed, without the function's name."""
    return [c["id"].rsplit(".", 1)[-1] for c in verdict["checks"] if c["status"] == "failed"]

"""A student's working copy, and the ways to type in it."""

from __future__ import annotations

import compileall
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from grader import catalogue
from grader.catalogue import ROOT
from grader.study.stubs import stub_for

pexpect = pytest.importorskip("pexpect")

Typed = Callable[..., subprocess.CompletedProcess[str]]


def environment(copy: Path, **more: str) -> dict[str, str]:
    """What a person's shell has, with the working copy in front of the installed package."""
    inherited = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR")}
    return {**inherited, "PYTHONPATH": str(copy), "LANG": "C.UTF-8", "TERM": "xterm", **more}


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working copy with its bytecode, so that not every process compiles it anew."""
    folder = tmp_path_factory.mktemp("compiled")
    for name in ("grader", "solutions"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "problems").mkdir()
    for number in catalogue.names():
        name = catalogue.solution_path(number).name
        (folder / "problems" / name).write_text(stub_for(number), encoding="utf-8")
    compileall.compile_dir(folder / "grader", quiet=2)
    return folder


@pytest.fixture
def copy(compiled: Path, tmp_path: Path) -> Path:
    """A working copy of its own, nothing done yet; the real ``problems/`` is never touched."""
    return Path(shutil.copytree(compiled, tmp_path / "work"))


@pytest.fixture
def typed(copy: Path) -> Typed:
    """Run ``python -m grader`` in the working copy."""

    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "grader", *words],
            cwd=copy,
            env=environment(copy, **more),
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )

    return run


@pytest.fixture
def terminal(copy: Path) -> Iterator[Callable[..., Any]]:
    """Run ``python -m grader`` in a terminal of a given size."""
    opened = []

    def spawn(*words: str, rows: int = 24, columns: int = 80, **more: str) -> Any:
        child = pexpect.spawn(
            sys.executable,
            ["-m", "grader", *words],
            cwd=str(copy),
            env=environment(copy, **more),
            dimensions=(rows, columns),
            encoding="utf-8",
            codec_errors="replace",
            timeout=60,
            preexec_fn=_hear_ctrl_c,
        )
        opened.append(child)
        return child

    yield spawn
    for child in opened:
        child.close(force=True)


def _hear_ctrl_c() -> None:
    """As in a shell; tests that were started in the background would pass on that it is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def processes_in(folder: Path) -> list[str]:
    """Command lines of the processes that work in ``folder`` or were started by one that did."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            given = (process / "environ").read_bytes()
            words = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if f"PYTHONPATH={folder}".encode() in given.split(b"\0") and words:
            found.append(words.replace(b"\0", b" ").decode())
    return found


def plain(text: str) -> str:
    """Terminal output without its control sequences."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r\n", "\n")

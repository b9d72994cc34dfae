"""From a save to the verdict on the screen, under ``watch``."""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LIMIT = 0.5
THINKING = 1.0
"""Seconds between a verdict and the next save: nobody is quicker, and there is work to do."""
RIGHT = ROOT / "solutions/46_vit_cls.py"
WRONG = ROOT / "tests/answers/demo/46_last_row.py"


def save_to_verdict(rounds: int) -> dict[str, float]:
    """Median seconds from a save of problem 46 to its verdict, by what was saved."""
    times: dict[str, list[float]] = {"a right answer": [], "a wrong one": []}
    with _watching() as (screen, answer):
        for _ in range(rounds):
            times["a right answer"].append(_one(screen, answer, RIGHT, "Passed"))
            times["a wrong one"].append(_one(screen, answer, WRONG, "Not passed"))
    return {what: statistics.median(measured) for what, measured in times.items()}


def _one(screen: Any, answer: Path, source: Path, word: str) -> float:
    text = source.read_text(encoding="utf-8")
    time.sleep(THINKING)
    started = time.perf_counter()
    answer.write_text(text, encoding="utf-8")
    screen.expect("grading")
    screen.expect(word)
    seconds = time.perf_counter() - started
    screen.expect("waiting for a save")  # the full verdict has come, too
    return seconds


@contextmanager
def _watching() -> Iterator[tuple[Any, Path]]:
    import pexpect

    with tempfile.TemporaryDirectory() as name:
        copy = Path(name)
        for folder in ("grader", "solutions", "problems"):
            shutil.copytree(ROOT / folder, copy / folder)
        screen = pexpect.spawn(
            sys.executable,
            ["-m", "grader", "watch", "46"],
            cwd=name,
            env={**os.environ, "PYTHONPATH": name, "TERM": "xterm"},
            encoding="utf-8",
            timeout=120,
            dimensions=(40, 100),
        )
        screen.delaybeforesend = None
        try:
            screen.expect("waiting for a save")
            _wait_until_idle(screen.pid)
            yield screen, copy / "problems/46_vit_cls.py"
        finally:
            screen.send("q")
            screen.close(force=True)


def _wait_until_idle(pid: int) -> None:
    """The warm grader prepares itself while nothing is to do; a student's first save is later."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    before = -1.0
    while (now := sum(map(_cpu_ticks, children.read_text().split()))) > before + 2:
        before = now
        time.sleep(1)


def _cpu_ticks(pid: str) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return float(fields[11]) + float(fields[12])

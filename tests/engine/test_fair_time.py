"""What a process waits for a core does not count against it; what it idles or computes does."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from grader.catalogue import ROOT
from grader.engine import fair_time
from grader.engine.fair_time import FairTime

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux tells how long a process waited"
)


SPIN = "while True: pass"
SLEEP = "import time; time.sleep(60)"


@contextmanager
def on_one_core(*works: str) -> Iterator[list[int]]:
    """Processes that do this, all on the same core."""
    bound = f"import os; os.sched_setaffinity(0, [{min(os.sched_getaffinity(0))}])"
    started = [
        subprocess.Popen([sys.executable, "-I", "-S", "-c", f"{bound}\n{work}"]) for work in works
    ]
    try:
        yield [process.pid for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()


def test_a_process_that_shares_its_core_has_longer() -> None:
    with on_one_core(SPIN, SPIN, SPIN) as pids:
        limit = FairTime(0.4, pids[:1])
        time.sleep(0.6)
        assert limit.left() > 0


def test_a_process_that_sleeps_has_no_longer_however_busy_its_core_is() -> None:
    with on_one_core(SLEEP, SPIN, SPIN) as pids:
        limit = FairTime(0.4, pids[:1])
        time.sleep(0.8)
        assert limit.left() <= 0


def test_what_is_given_back_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise threads that a submission starts would buy it time without end."""
    told = [0.0]
    monkeypatch.setattr(fair_time, "waited", lambda pid: told[0])
    limit = FairTime(0.1, [1])
    told[0] = 1e6
    time.sleep(0.15)
    assert 0 < limit.left() <= 0.4


def test_a_process_that_is_gone_is_given_nothing() -> None:
    with on_one_core(SPIN) as pids:
        limit = FairTime(0.05, pids)
    time.sleep(0.06)
    assert limit.left() <= 0


@pytest.mark.slow
def test_a_right_answer_passes_on_a_core_that_others_use() -> None:
    """It needs more than its second of time there, and less than what is given back at most."""
    there = ["taskset", "-c", str(min(os.sched_getaffinity(0)))]
    grading = [sys.executable, "-m", "grader", "solutions/38_patch_embed.py", "--timeout", "1"]
    with on_one_core(SPIN, SPIN, SPIN):
        done = subprocess.run(
            [*there, *grading], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
        )
    assert done.returncode == 0, done.stdout

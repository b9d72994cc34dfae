"""The judge is woken out of what a child gives it to do."""

from __future__ import annotations

import subprocess
import sys

from grader.catalogue import ROOT

BUSY_JUDGE = """
import os, sys, time
from grader.engine import fair_time, grading, judge
from grader.catalogue import problem
from pathlib import Path

def busy(*_):
    until = time.monotonic() + 60
    while time.monotonic() < until:
        sum(range(1000))

grading.draws_for = busy
order = judge.Order(problem(38), Path(sys.argv[1]), timeout=1.0, two_children=False)
verdict = judge.grade(order)
waited = fair_time.waited(os.getpid())
print(verdict.passed, round(verdict.seconds, 2), round(waited, 2), verdict.checks[-1].message)
"""


def test_a_busy_judge_stops_a_second_after_the_time_was_up() -> None:
    answer = str(ROOT / "solutions/38_patch_embed.py")
    done = subprocess.run(
        [sys.executable, "-c", BUSY_JUDGE, answer],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    passed, seconds, waited, message = done.stdout.split(maxsplit=3)
    assert passed == "False"
    assert 2.0 <= float(seconds) < 3.0 + 2 * float(waited)
    assert "time was up" in message

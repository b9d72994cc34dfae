"""What of a verdict is shown where there is little room."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from grader import catalogue
from grader.report.screen import barest, condensed, rows, verdict_lines
from grader.verdict import Check, Diagnosis, StageLine, Verdict

CHECKS = (
    *(Check(f"c{i}", f"question number {i}", "passed", "", 2.0) for i in range(8)),
    Check("numbers", "the numbers are right", "failed", "all of them differ " * 8, 5.0),
    *(Check(f"s{i}", f"question not asked {i}", "skipped", "needs it", 1.0) for i in range(3)),
)
STAGES = tuple(StageLine("f", f"stage {i}", i < 6, parts=i == 6) for i in range(8))
WRONG = Verdict(
    "46_vit_cls",
    "problems/46_vit_cls.py",
    CHECKS,
    0,
    30,
    10,
    1.0,
    diagnoses=(Diagnosis("last", "the last row is read", "Think of the whole image. " * 4, 46),),
    stages=STAGES,
    printed="noise\n" * 30,
)


@pytest.mark.parametrize(("columns", "room"), [(40, 17), (40, 30), (80, 21), (120, 60)])
def test_the_mistake_and_the_score_are_always_there(columns: int, room: int) -> None:
    console = Console(file=io.StringIO(), width=columns, color_system=None)
    lines = verdict_lines(WRONG, catalogue.problem(46), console, room)
    text = " ".join(" ".join(lines).split())
    assert sum(rows(line, console) for line in lines) <= room
    for words in ("the last row is read", "numbers are right", "stage 6", "Not passed", "score"):
        assert words in text


def test_a_shorter_verdict_has_the_same_score() -> None:
    right = replace(WRONG, checks=CHECKS[:8], diagnoses=(), stages=())
    for verdict in (WRONG, right):
        for shorter in (condensed(verdict), barest(verdict)):
            assert shorter.score == verdict.score
            assert shorter.passed is verdict.passed
            assert len(shorter.checks) < len(verdict.checks)

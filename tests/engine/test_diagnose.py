"""The time for naming a mistake is limited; whether a right answer passes must not depend on it."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from grader.catalogue import ROOT
from grader.problem import Edit
from tests.conftest import Grade, failed_checks
from tests.diagnoses import edited

NO_TIME = """
import sys
from pathlib import Path
from grader import catalogue
from grader.engine import diagnose
diagnose.SECONDS = 0.0
from grader.engine.judge import Order, grade
verdict = grade(Order(catalogue.problem(46), Path(sys.argv[1])))
print(verdict.passed, len(verdict.remarks), len(verdict.diagnoses), *verdict.notes)
"""


def without_time(answer: str) -> str:
    """Grade in a process that leaves no time at all to look for mistakes."""
    done = subprocess.run(
        [sys.executable, "-c", NO_TIME, str(ROOT / "tests/answers" / answer)],
        cwd=ROOT,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize(
    "name", ["cpp_reshape_dense", pytest.param("embed_positions", marks=pytest.mark.slow)]
)
def test_an_accepted_variant_passes_however_slow_the_machine_is(name: str) -> None:
    assert without_time(f"46_vit_cls/right/{name}.py").startswith("True ")


@pytest.mark.slow
def test_accepted_variants_pass_where_all_layouts_have_to_be_tried(grade_text: Grade) -> None:
    text = (ROOT / "tests/answers/46_vit_cls/right/two_streams.py").read_text()
    text = text.replace("nn.LayerNorm()", "nn.LayerNorm(epsilon=1e-5)")
    verdict = grade_text(text, 46)
    assert failed_checks(verdict) == []
    assert sum("epsilon 1e-5" in remark for remark in verdict["remarks"]) == 3


def test_a_mistake_that_there_was_no_time_to_name_is_told_as_such() -> None:
    told = without_time("demo/46_last_row.py")
    assert told.startswith("False 0 0 ")
    assert "the time was up" in told


@pytest.mark.parametrize(
    ("number", "old", "new"),
    [
        (48, "votes / temperature", "votes / max(temperature, 1.0)"),
        (40, "/ head_dim**0.5", "/ max(x.shape[0] // self.num_heads, 1) ** 0.5"),
    ],
)
def test_a_mistake_that_is_wrong_where_the_answer_is_right_is_not_named(
    number: int, old: str, new: str, grade_text: Grade
) -> None:
    """Where it shows, the answer does what a known mistake does: no temperature, no scale."""
    source = edited(number, [Edit(old, new)])
    verdict = grade_text(source, number)
    assert "numbers" in failed_checks(verdict)
    assert verdict["diagnoses"] == []
    attempts = re.search(r"after (\d+) attempts", " ".join(verdict["notes"]))
    assert attempts is None or int(attempts[1]) > 10  # what it looks like was among them

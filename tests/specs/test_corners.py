"""Wrong only somewhere: with one head, one token, a square grid, many layers, large values."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from grader.problem import Edit
from tests.conftest import Grade, failed_checks, run_command
from tests.diagnoses import edited
from tests.specs.wrong_somewhere import ALWAYS, SOMEWHERE

OFTEN = 2


def some_often(names: list[str]) -> list[object]:
    """So many of each problem are graded by `make test`; the rest are slow."""
    counts: Counter[int] = Counter()
    parameters = []
    for name in names:
        number = {**SOMEWHERE, **ALWAYS}[name][0]
        counts[number] += 1
        marks = pytest.mark.slow if counts[number] > OFTEN else ()
        parameters.append(pytest.param(name, marks=marks))
    return parameters


def verdict_on(name: str, grade_text: Grade, **fewer: int) -> dict[str, Any]:
    number, old, new = {**SOMEWHERE, **ALWAYS}[name]
    source = edited(number, [Edit(old, new)])
    return grade_text(source, number, explain=False, **fewer)


@pytest.mark.parametrize("name", some_often([*SOMEWHERE, *ALWAYS]))
def test_wrong_somewhere_is_wrong(name: str, grade_text: Grade) -> None:
    assert failed_checks(verdict_on(name, grade_text)), name


@pytest.mark.slow
@pytest.mark.parametrize("name", SOMEWHERE)
def test_without_its_corner_it_is_not_seen(name: str, grade_text: Grade) -> None:
    without = verdict_on(name, grade_text, cases=9, shapes=3)  # too few for corners
    assert failed_checks(without) == []


def test_a_case_at_a_corner_is_shown_again(tmp_path: Path) -> None:
    answer = tmp_path / "40_answer.py"
    answer.write_text(edited(40, [Edit(*SOMEWHERE["40 a single token passes by"][1:])]))
    verdict = json.loads(run_command(str(answer), "--json").stdout)
    case = verdict["counterexample"]["case"]
    assert case["tokens"] == 1
    shown = run_command(str(answer), "--case", json.dumps(case))
    assert shown.returncode == 0, shown.stderr
    assert "(1, " in shown.stdout


def test_a_case_of_rare_inputs_is_told_and_shown_again(tmp_path: Path) -> None:
    answer = tmp_path / "39_answer.py"
    answer.write_text(edited(39, [Edit(*ALWAYS["39 rows of zeros stay zeros"][1:])]))
    verdict = json.loads(run_command(str(answer), "--json").stdout)
    (message,) = [c["message"] for c in verdict["checks"] if c["status"] == "failed"]
    assert message.startswith("right for random numbers; where some rows of the input are zero, ")
    case = verdict["counterexample"]["case"]
    assert case["style"] == "blank"
    shown = run_command(str(answer), "--case", json.dumps(case))
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("  tokens (2, 4)\n    [[ 0.      0.      0.      0.    ]\n")

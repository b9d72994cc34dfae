"""The proof that each problem's grader works: what must pass passes, what must fail fails as meant.

One test for each reference, stub, pitfall, variant and shipped answer, all through the engine's
public door, each in a fresh process.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grader import catalogue
from grader.engine.proofread import proofread
from grader.engine.reference import apply_edits
from grader.engine.suspects import pitfalls_of, stages_of
from grader.problem import Edit, Pitfall, Variant
from tests.conftest import Grade, failed_checks

ANSWERS = catalogue.ROOT / "tests" / "answers"
FEWER = {"cases": 12, "shapes": 4}
WHOLE = {"two_children": True}
FEWEST = {**FEWER, "cases": 6, "shapes": 2}
"""The first of the cases that everybody's answer gets: what fails on these fails on all."""
OFTEN = 3
"""So many of a problem's mistakes, right and wrong answers are graded by `make test`; the rest are
slow, and `make proof` grades all."""


def together(number: int, *values: object, id: str | None = None, slow: bool = False) -> object:
    """A parameter set; those of one problem share a worker, which keeps its traces warm."""
    marks = [pytest.mark.xdist_group(f"problem {number}"), *([pytest.mark.slow] if slow else [])]
    return pytest.param(number, *values, marks=marks, id=id or str(number))


NUMBERS = [together(number) for number in catalogue.names()]


def edited(number: int, edits: tuple[Edit, ...]) -> str:
    """The solution of a problem with a pitfall's or variant's edits."""
    own = [edit for edit in edits if (edit.problem or number) == number]
    return apply_edits(catalogue.solution_path(number).read_text(), own)


def on_few_cases(
    grade: Callable[[dict[str, Any]], dict[str, Any]], tells: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """The verdict on the fewest cases that tell, or else on the most that are tried."""
    verdict = grade(FEWEST)
    return verdict if tells(verdict) else grade(FEWER)


def pitfalls() -> list[object]:
    return [
        together(n, p, id=f"{n}-{p.id}", slow=place >= OFTEN)
        for n in catalogue.names()
        for place, p in enumerate(catalogue.problem(n).pitfalls)
    ]


def variants() -> list[object]:
    return [
        together(n, v, id=f"{n}-{v.id}")
        for n in catalogue.names()
        for v in catalogue.problem(n).variants
    ]


def answers(kind: str, often: int = OFTEN) -> list[object]:
    return [
        together(n, path, id=f"{n}-{path.stem}", slow=place >= often)
        for n in catalogue.names()
        for place, path in enumerate(sorted(ANSWERS.glob(f"{n}_*/{kind}/*.py")))
    ]


@pytest.mark.parametrize("number", NUMBERS)
def test_the_reference_passes(number: int, grade_text: Grade) -> None:
    verdict = grade_text(catalogue.solution_path(number).read_text(), number, **WHOLE)
    assert failed_checks(verdict) == []
    assert verdict["passed"]
    assert verdict["score"] == 1.0
    assert verdict["remarks"] == []
    assert verdict["cases"] >= 30 * len(catalogue.problem(number).contracts)
    assert verdict["shapes"] >= 10
    assert 0 < len(catalogue.problem(number).corners) <= 5  # they are among the ten shapes


@pytest.mark.parametrize("number", NUMBERS)
def test_the_stub_does_not_pass(number: int, grade_text: Grade) -> None:
    stub = catalogue.PROBLEMS / catalogue.solution_path(number).name
    verdict = grade_text(stub.read_text(), number)
    assert not verdict["passed"]
    assert verdict["score"] == 0.0
    assert set(failed_checks(verdict)) == {"implemented"}


@pytest.mark.parametrize(("number", "pitfall"), pitfalls())
def test_a_pitfall_fails_as_meant(number: int, pitfall: Pitfall, grade_text: Grade) -> None:
    text = edited(number, pitfall.edits)

    def named(verdict: dict[str, Any]) -> list[str]:
        return [diagnosis["pitfall"] for diagnosis in verdict["diagnoses"]]

    verdict = on_few_cases(
        lambda few: grade_text(text, number, **few),
        lambda verdict: named(verdict) == [pitfall.id],
    )
    assert not verdict["passed"]
    assert failed_checks(verdict)[0] == pitfall.check, verdict["checks"]
    assert named(verdict) == [pitfall.id]


@pytest.mark.parametrize(("number", "variant"), variants())
def test_a_variant_passes_with_its_remark(number: int, variant: Variant, grade_text: Grade) -> None:
    verdict = grade_text(edited(number, variant.edits), number, **FEWER)
    assert failed_checks(verdict) == []
    assert verdict["remarks"] == [variant.remark]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "variant"), variants())
def test_a_variant_passes_on_all_cases_and_compiled_in_a_second_process(
    number: int, variant: Variant, grade_text: Grade
) -> None:
    verdict = grade_text(edited(number, variant.edits), number, **WHOLE)
    assert failed_checks(verdict) == []
    assert verdict["remarks"] == [variant.remark]


@pytest.mark.parametrize(("number", "path"), answers("right"))
def test_a_differently_written_right_answer_passes(
    number: int, path: Path, grade_text: Grade
) -> None:
    verdict = grade_text(path.read_text(), number, **FEWER)
    assert failed_checks(verdict) == [], verdict["checks"]
    assert verdict["passed"]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "path"), answers("right"))
def test_a_right_answer_passes_on_all_cases_and_compiled_in_a_second_process(
    number: int, path: Path, grade_text: Grade
) -> None:
    verdict = grade_text(path.read_text(), number, **WHOLE)
    assert failed_checks(verdict) == [], verdict["checks"]


@pytest.mark.parametrize(("number", "path"), answers("wrong"))
def test_a_wrong_answer_fails(number: int, path: Path, grade_text: Grade) -> None:
    verdict = on_few_cases(
        lambda few: grade_text(path.read_text(), number, explain=False, **few),
        lambda verdict: not verdict["passed"],
    )
    assert not verdict["passed"]
    assert verdict["score"] < 1.0


@pytest.mark.parametrize("number", NUMBERS)
def test_a_problem_has_what_an_author_owes(number: int) -> None:
    problem = catalogue.problem(number)
    least = 6 if number in (38, 39) else 8
    assert len(problem.pitfalls) >= least
    assert len(problem.hints) == 3
    names = [pitfall.id for _, pitfall in pitfalls_of(number)]
    assert len(set(names)) == len(names)
    stages = {stage.name for stage in stages_of(problem)}
    for pitfall in problem.pitfalls:
        assert pitfall.hints
        assert pitfall.advice
        assert pitfall.stage is None or pitfall.stage in stages


@pytest.mark.parametrize("number", NUMBERS)
def test_a_spec_fits_its_solution(number: int) -> None:
    assert list(proofread(number)) == []


@pytest.mark.parametrize("number", NUMBERS)
def test_right_answers_of_many_kinds_are_shipped(number: int) -> None:
    assert len(list(ANSWERS.glob(f"{number}_*/right/*.py"))) >= 5


def test_every_wrong_answer_says_what_is_wrong() -> None:
    for folder in ANSWERS.glob("[0-9]*/wrong"):
        assert (folder / "expected.json").is_file(), f"{folder} has no expected.json"
        expected = json.loads((folder / "expected.json").read_text())
        assert set(expected) == {path.stem for path in folder.glob("*.py")}

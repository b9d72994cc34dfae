"""Problems as notebooks come from solutions, as stubs do."""

from __future__ import annotations

import ast
import json

import nbformat
import pytest

from grader import catalogue
from grader.study import problem_notebooks as made
from tests.conftest import Grade

NUMBERS = [number for number in catalogue.names() if number >= made.FIRST]


def cells_of(number: int) -> list[tuple[str, str]]:
    notebook = json.loads(made.path_for(number).read_text(encoding="utf-8"))
    return [(cell["cell_type"], "".join(cell["source"])) for cell in notebook["cells"]]


@pytest.mark.parametrize("number", NUMBERS)
def test_the_notebook_is_what_the_solution_makes(number: int) -> None:
    assert made.path_for(number).read_text(encoding="utf-8") == made.text_for(number)
    nbformat.validate(nbformat.read(made.path_for(number), as_version=4))


@pytest.mark.parametrize("number", NUMBERS)
def test_it_has_the_page_and_an_empty_answer(number: int) -> None:
    (_, page), *_, (kind, answer) = cells_of(number)
    for heading in ("Why this matters", "walk-through", "Pitfalls", "Your task", "Sources"):
        assert heading in page
    assert f"%%grade {number}" in page
    magic, _, code = answer.partition("\n")
    assert (kind, magic) == ("code", f"%%grade {number}")
    functions = [n for n in ast.walk(ast.parse(code)) if isinstance(n, ast.FunctionDef)]
    assert {c.function for c in catalogue.problem(number).contracts} <= {f.name for f in functions}
    for function in functions:
        assert isinstance(function.body[-1], ast.Raise)
    assert "problems/" not in code


def test_the_empty_answer_is_told_that_it_is_empty(grade_text: Grade) -> None:
    _, answer = cells_of(46)[-1]
    verdict = grade_text(answer.partition("\n")[2], 46)
    assert verdict["score"] == 0.0
    assert [c["id"] for c in verdict["checks"] if c["status"] == "failed"] == ["implemented"]


def test_all_problems_from_45_are_there() -> None:
    kept = [path.name for path in made.FOLDER.glob("*.ipynb") if ".old-" not in path.name]
    assert sorted(kept) == [made.path_for(number).name for number in NUMBERS]
    assert NUMBERS == [45, 46, 47, 48, 49, 50]

"""Stubs come from solutions; progress decides what ``use`` gives."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from grader import catalogue
from grader.study import progress, stubs


@pytest.mark.parametrize("number", list(catalogue.names()))
def test_the_stub_is_what_the_solution_makes(number: int) -> None:
    solution = catalogue.solution_path(number)
    text = stubs.stub_of(solution.read_text(), f"problems/{solution.name}")
    assert (catalogue.PROBLEMS / solution.name).read_text() == text


@pytest.mark.parametrize("number", list(catalogue.names()))
def test_a_stub_gives_nothing_of_the_answer_away(number: int) -> None:
    problem = catalogue.problem(number)
    tree = ast.parse((catalogue.PROBLEMS / problem.filename).read_text())
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    assert {c.function for c in problem.contracts} <= {f.name for f in functions}
    for function in functions:
        *docstring, last = function.body
        assert isinstance(last, ast.Raise)
        assert all(isinstance(node, ast.Expr) for node in docstring)
    page = ast.get_docstring(tree) or ""
    for heading in ("Why this matters", "walk-through", "Pitfalls", "Your task", "Sources"):
        assert heading in page


def test_progress_keeps_the_best_score_and_the_text_that_passed(tmp_path: Path) -> None:
    path = tmp_path / "progress.json"
    assert progress.read(path) == {}
    progress.record(41, 1.0, "abc", path)
    progress.record(41, 0.4, None, path)
    progress.record(46, 0.5, None, path)
    assert progress.read(path)[41] == progress.Reached(1.0, "abc")
    assert progress.read(path)[46] == progress.Reached(0.5, None)
    assert [p.name for p in tmp_path.iterdir()] == ["progress.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"problems": {"x": 1}}', '{"problems": 3}'])
def test_a_damaged_progress_file_is_rebuilt(tmp_path: Path, text: str) -> None:
    path = tmp_path / "progress.json"
    path.write_text(text)
    assert progress.read(path) == {}
    progress.record(38, 0.2, None, path)
    assert json.loads(path.read_text())["problems"]["38"]["score"] == 0.2

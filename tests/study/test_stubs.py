"""Stubs come from solutions."""

from __future__ import annotations

import ast

import pytest

from grader import catalogue
from grader.study import stubs


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

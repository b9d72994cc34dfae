"""Learned tokens are told from biases, however these start."""

from __future__ import annotations

import pytest

from grader.catalogue import ROOT
from tests.conftest import Grade, failed_checks


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (46, "random_biases_cls_position_apart"),
        (47, "random_biases_cls_position_apart"),
    ],
)
def test_a_token_is_not_taken_for_a_bias(number: int, name: str, grade_text: Grade) -> None:
    (path,) = (ROOT / "tests/answers").glob(f"{number}_*/right/{name}.py")
    assert failed_checks(grade_text(path.read_text(), number, explain=False)) == []

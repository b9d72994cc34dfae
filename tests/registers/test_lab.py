"""The lab refuses, before it computes anything, what one page cannot show together."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from solutions.registers.lab import lab
from solutions.registers.subjects import SMALL
from solutions.training import runs
from solutions.training.data import digits
from solutions.training.recipe import BadRecipe


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("patch_size", 4, "patch_size 2, .* 4; the page sets patches and layers beside"),
        ("depth", 2, "depth 4, .* 2; the page sets patches and layers beside"),
    ],
)
def test_runs_of_other_grids_or_depths_are_not_put_beside_each_other(
    field: str, value: int, says: str, tmp_path: Path
) -> None:
    data = digits()
    first = runs.new(tmp_path / "a", SMALL, 0, data, "", False, False)
    other = dataclasses.replace(SMALL, **{field: value})
    second = runs.new(tmp_path / "b", other, 0, data, "", False, False)
    with pytest.raises(BadRecipe, match=says):
        lab([first, second], tmp_path / "page")
    different = dataclasses.replace(first, mean=(1.0,))
    with pytest.raises(BadRecipe, match="were trained on different images"):
        lab([first, different], tmp_path / "page")
    assert not (tmp_path / "page").exists()

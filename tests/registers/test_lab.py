"""From runs to the page; what one page cannot show together is refused before anything else."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import jax.numpy as jnp
import pytest

from solutions.registers.lab import lab
from solutions.registers.subjects import SMALL
from solutions.training import runs
from solutions.training.checkpoints import Checkpoints
from solutions.training.data import digits
from solutions.training.disk import CannotSave
from solutions.training.models import linen_module
from solutions.training.recipe import BadRecipe
from tests.random_params import random_params

TINY = dataclasses.replace(
    SMALL, data="digits", patch_size=4, width=8, heads=2, depth=1, mlp=8, registers=1
)


def a_run(folder: Path) -> runs.Run:
    """A run with two checkpoints of random weights: nothing is trained."""
    data = digits()
    run = runs.new(folder, TINY, 0, data, "")
    run.save()
    checkpoints = Checkpoints(folder / "checkpoints", 10)
    for step in (10, 20):
        model = linen_module(TINY, 10)
        params = random_params(model, jnp.zeros(data.image_shape), seed=step)
        checkpoints.save(step, {"state": {"params": params}}, (), 0.0)
    checkpoints.wait()
    checkpoints.close()
    return run


def test_a_page_and_its_numbers_and_no_claim_beyond_them(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    page, said = lab([a_run(tmp_path / "r1")], tmp_path / "lab", tell=lambda _: None, cutoff=2.5)
    study = json.loads((tmp_path / "lab/study.json").read_text())
    clean, planted = study["R = 1"], study["R = 1, planted"]
    assert planted["flagged_layers"] == [1] and 0.005 < planted["high_norm_share"] < 0.05
    assert said[-1].startswith("Planted high-norm tokens (R = 1, planted) are flagged (")
    assert any("a null result" in line for line in said) is (not clean["flagged_layers"])
    assert [one["step"] for one in clean["training"]] == [10, 20] and not planted["training"]
    text = page.read_text(encoding="utf-8")
    assert "src='http" not in text and "<script" not in text
    assert text.count("data:image/png;base64,") == 10
    assert "This was made, not found." in text
    share = clean["norms"][1]["share_above_cutoff"]
    assert "<th>&gt; 2.5</th>" in text and f"<td>{share:.2%}</td>" in text
    for kind in ("all", "normal", "high norm", "largest"):
        assert f"R = 1, {kind}" in text


def test_a_folder_that_cannot_be_written_to_is_told_before_anything_else(tmp_path: Path) -> None:
    run = runs.new(tmp_path / "r1", TINY, 0, digits(), "")
    (tmp_path / "file").touch()
    with pytest.raises(CannotSave, match="page: cannot be written: Not a directory"):
        lab([run], tmp_path / "file" / "page")


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
    first = runs.new(tmp_path / "a", SMALL, 0, data, "")
    other = dataclasses.replace(SMALL, **{field: value})
    second = runs.new(tmp_path / "b", other, 0, data, "")
    with pytest.raises(BadRecipe, match=says):
        lab([first, second], tmp_path / "page")
    different = dataclasses.replace(first, mean=(1.0,))
    with pytest.raises(BadRecipe, match="were trained on different images"):
        lab([first, different], tmp_path / "page")
    assert not (tmp_path / "page").exists()

"""The images that runs are examined on, and the small runs of the lab."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from solutions.registers.boxes import overlap
from solutions.registers.subjects import (
    SMALL,
    images_for,
    new_or_same,
    small_with,
    write_canvases,
)
from solutions.training import data as data_module
from solutions.training import runs
from solutions.training.checkpoints import AnotherRun
from solutions.training.data import BadData, Dataset, digits
from solutions.training.recipe import BadRecipe
from tests.training.conftest import said


def test_the_canvases_that_choose_the_bias_are_others(tmp_path: Path) -> None:
    """Neither noise nor places agree image by image with those that are measured."""
    data = digits()
    run = runs.new(tmp_path, SMALL, 0, data, "", False, False)
    found = images_for(run, data, seed=3)
    assert found.canvases.shape == found.other_canvases.shape == (128, 8, 8, 1)
    mean, std = data.statistics
    for pixels in (found.canvases * std + mean, found.other_canvases * std + mean):
        np.testing.assert_allclose(pixels, np.round(pixels), atol=1e-3)
    assert (found.canvases == found.other_canvases).mean() < 0.1
    shared = [overlap(a, b) for a, b in zip(found.boxes, found.other_boxes, strict=True)]
    assert np.mean(shared) < 0.6
    again = images_for(run, data, seed=3)
    np.testing.assert_array_equal(again.other_canvases, found.other_canvases)


def test_a_folder_keeps_the_run_that_it_holds(tmp_path: Path) -> None:
    run = runs.new(tmp_path / "r0", SMALL, 0, digits(), "first", False, False)
    assert new_or_same(run) == run and not run.folder.exists()
    run.save()
    assert new_or_same(dataclasses.replace(run, command="second")).command == "second"
    longer = dataclasses.replace(SMALL, epochs=SMALL.epochs + 1)
    for other in (
        dataclasses.replace(run, recipe=longer),
        dataclasses.replace(run, seed=1),
        dataclasses.replace(run, data_digest="other"),
    ):
        with pytest.raises(AnotherRun, match="r0 holds another run"):
            new_or_same(other)


def test_canvases_of_another_seed_are_not_taken_for_those_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = digits()
    few = (full.train_images[:20], full.train_labels[:20], full.test_images, full.test_labels)
    small = Dataset("few", *(part[:20] for part in few), full.classes)
    monkeypatch.setattr(data_module, "digits", lambda: small)
    folder = write_canvases(tmp_path / "canvases", seed=1)
    assert len(list(folder.glob("train/*/*.png"))) == 60
    assert write_canvases(folder, seed=1) == folder
    with pytest.raises(BadData, match="holds canvases of seed 1, not 2"):
        write_canvases(folder, seed=2)


def test_canvases_that_cannot_be_written_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    canvases = tmp_path / "canvases"
    canvases.mkdir()
    (canvases / "train").touch()
    code, _, errors = said(capsys, "registers", "--out", str(tmp_path))
    assert code == 1
    assert f"{canvases}: cannot be written: Not a directory. Go on with: python -m g" in errors
    assert len(errors.splitlines()) == 1


def test_what_the_lab_chooses_itself_cannot_be_set() -> None:
    assert small_with({"epochs": "3"}) == dataclasses.replace(SMALL, epochs=3)
    with pytest.raises(BadRecipe, match="registers cannot be set here: --counts says how many"):
        small_with({"registers": "3"})
    with pytest.raises(BadRecipe, match=r"data cannot be set here: .* grader registers RUN"):
        small_with({"epochs": "3", "data": "mnist"})

"""``distill`` as it is typed: where its images are looked for, and what cannot be written."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from solutions.distillation import Distillation, folder
from solutions.distillation.queries import keep_queries
from solutions.training.data import digits
from solutions.training.disk import CannotSave
from tests.training.conftest import said, write_shades

WORDS = [
    *("--set", "patch_size=4", "--set", "heads=2", "--set", "batch_size=8"),
    *(
        "--set-teacher",
        "batch_size=8",
        "--set-teacher",
        "patch_size=4",
        "--set-teacher",
        "width=8",
        "--set-teacher",
        "heads=2",
    ),
]


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is trained: the first checkpoint finds no room."""

    def fit(*_: Any) -> None:
        raise CannotSave("the disk is full")

    monkeypatch.setattr(sys.modules["solutions.training.train"], "fit", fit)


@pytest.mark.usefixtures("full_disk")
def test_images_are_found_from_any_folder_and_may_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_shades(tmp_path / "shades")
    monkeypatch.chdir(tmp_path)
    for out, words in (("one", ("--data", "shades")), ("two", ("--set", "data=./shades"))):
        code, _, errors = said(capsys, "distill", *words, *WORDS, "--out", out)
        assert code == 1
        go_on = f"Go on with: python -m grader distill --resume {out}"
        assert errors == f"grader: the disk is full. {go_on}\n"
        asked = folder.read(tmp_path / out).asked
        assert asked.recipe.data == asked.teacher_recipe.data == str(tmp_path / "shades")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    resume = ("distill", "--resume", "../one")
    assert "the disk is full" in said(capsys, *resume)[2]  # it came so far

    (tmp_path / "shades").rename("moved")
    code, _, errors = said(capsys, *resume)
    assert code == 2
    assert "if its images have moved: --data FOLDER" in errors
    assert "the disk is full" in said(capsys, *resume, "--data", "moved")[2]
    old = folder.read(tmp_path / "one")
    assert old.run.recipe.data == old.teacher.recipe.data == os.path.realpath("moved")

    next(Path("moved").rglob("*.png")).unlink()
    code, _, errors = said(capsys, *resume, "--data", "moved")
    assert code == 2
    assert "moved is not what ../one was trained on; " in errors
    code, _, errors = said(capsys, *resume, "--seed", "1")
    assert code == 2
    assert "only --data, --query and --query-text go with it" in errors


def test_a_folder_that_cannot_be_written_to_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "run"
    code, _, errors = said(capsys, "distill", "--out", str(out))
    assert code == 1
    assert errors == f"grader: {out}/distill.json: cannot be written: Not a directory\n"
    with pytest.raises(CannotSave, match=r"queries\.json: cannot be written"):
        keep_queries(out, {})
    run = folder.new(tmp_path, Distillation(), 0, digits(), "")
    (tmp_path / "distill.json").mkdir()
    with pytest.raises(CannotSave, match=r"distill\.json: cannot be written: Is a directory"):
        run.save()

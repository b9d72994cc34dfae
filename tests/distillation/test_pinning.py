"""A distillation finds its teacher again: from any folder, the same step, the same weights."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

pytest.importorskip("safetensors")

from solutions.distillation.pinning import fingerprint, pinned_teacher
from solutions.distillation.safetensors_file import PretrainedError, pinned
from solutions.distillation.settings import Distillation
from solutions.training import runs
from solutions.training.checkpoints import Checkpoints, NoCheckpoint
from solutions.training.data import digits
from solutions.training.models import build
from solutions.training.recipe import BadRecipe, Recipe

CLIP = Path(__file__).with_name("dumps") / "clip"


RECIPE = Recipe(patch_size=4, width=8, heads=2, depth=1, mlp=8, epochs=1)


def leaves(seed: int) -> Any:
    """Parameters as a run begins with them."""
    model = build(RECIPE, digits().image_shape, 10)
    return jax.jit(model.init)(jax.random.key(seed))


def a_run(folder: Path, *seeds: int) -> runs.Run:
    """A run with a checkpoint for each seed, at steps 10, 20, …"""
    run = runs.new(folder, RECIPE, 0, digits(), "")
    run.save()
    checkpoints = Checkpoints(folder / "checkpoints", 10)
    for i, seed in enumerate(seeds, 1):
        checkpoints.save(10 * i, {"state": {"params": leaves(seed)}}, (), 0.0)
    checkpoints.wait()
    checkpoints.close()
    return run


def test_a_run_is_found_again_though_it_was_trained_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_run(tmp_path / "runs/a", 1)
    monkeypatch.chdir(tmp_path)
    asked, teacher = pinned_teacher(Distillation(teacher="runs/a"))
    assert asked.teacher == str(tmp_path / "runs/a") and asked.teacher_step == 10
    # What the checkpoints of the student are called does not depend on it.
    told = str(dataclasses.replace(asked, teacher="t"))
    assert told == str(Distillation(teacher="t"))
    monkeypatch.chdir("/")
    shutil.rmtree(tmp_path / "runs/a")
    a_run(tmp_path / "runs/a", 1, 2)
    again, same = pinned_teacher(asked)
    assert again == asked
    np.testing.assert_array_equal(same.params["positions"], teacher.params["positions"])
    newest, _ = pinned_teacher(dataclasses.replace(asked, teacher_step=None, teacher_print=None))
    assert newest.teacher_step == 20 and newest.teacher_print != asked.teacher_print
    with pytest.raises(NoCheckpoint, match="no checkpoint of step 30 any more"):
        pinned_teacher(dataclasses.replace(asked, teacher_step=30))


def test_a_teacher_that_is_another_or_gone_is_refused(tmp_path: Path) -> None:
    run = a_run(tmp_path / "a", 1)
    asked, _ = pinned_teacher(Distillation(teacher=str(run.folder)))
    shutil.rmtree(run.folder)
    with pytest.raises(PretrainedError, match="a is gone; put it back to go on"):
        pinned_teacher(asked)
    a_run(run.folder, 2)
    with pytest.raises(PretrainedError, match="not the one that this distillation began with"):
        pinned_teacher(asked)
    dataclasses.replace(run, mine={46: "abc"}).save()
    with pytest.raises(BadRecipe, match=r"answers of your own \(--mine\), whose inner values"):
        pinned_teacher(Distillation(teacher=str(run.folder)))
    (run.folder / "distill.json").touch()
    with pytest.raises(runs.NoRun, match="a is a distillation; to go on with it: "):
        pinned_teacher(Distillation(teacher=str(run.folder)))


def test_weights_in_a_file_are_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(CLIP, tmp_path / "clip")
    monkeypatch.chdir(tmp_path)
    asked, teacher = pinned_teacher(Distillation(teacher="clip"))
    assert (asked.teacher, asked.teacher_step) == (str(tmp_path / "clip"), None)
    assert asked.teacher_print == fingerprint(teacher.params)
    monkeypatch.chdir("/")
    assert pinned_teacher(asked)[0] == asked


def test_a_repository_is_pinned_to_the_commit_that_was_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = pytest.importorskip("huggingface_hub")
    snapshot = tmp_path / "snapshots" / "0123456789abcdef"
    shutil.copytree(CLIP, snapshot)
    monkeypatch.setattr(hub, "hf_hub_download", lambda _, name, revision: str(snapshot / name))
    assert pinned("owner/clip@refs/pr/66") == "owner/clip@0123456789abcdef"
    assert pinned("owner/clip") == "owner/clip@0123456789abcdef"


def test_a_slip_in_a_path_does_not_ask_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*_: Any, **__: Any) -> str:
        raise AssertionError("the hub was asked")

    monkeypatch.setattr(pytest.importorskip("huggingface_hub"), "hf_hub_download", no_network)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    with pytest.raises(PretrainedError, match="runs/typo is neither a file, nor a folder"):
        pinned_teacher(Distillation(teacher="runs/typo"))


def test_a_fingerprint_changes_with_name_shape_and_value() -> None:
    tree = {"a": np.arange(4.0), "b": {"c": np.ones(2)}}
    others = (
        {"a": np.arange(4.0), "b": {"d": np.ones(2)}},
        {"a": np.arange(4.0).reshape(2, 2), "b": {"c": np.ones(2)}},
        {"a": np.arange(4.0), "b": {"c": np.array([1, 1 + 1e-12])}},
    )
    marks = {fingerprint(one) for one in (tree, *others)}
    assert len(marks) == 4 and fingerprint({"b": tree["b"], "a": tree["a"]}) in marks

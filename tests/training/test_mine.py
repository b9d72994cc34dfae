"""``--mine``: a student's passed answers train as the references do."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from grader import catalogue
from grader.catalogue import ROOT
from grader.study import progress
from solutions.training import runs, train
from solutions.training.checkpoints import NoCheckpoint
from solutions.training.data import Dataset
from solutions.training.evaluation import of_run
from solutions.training.mine import Mine, answers, answers_of
from solutions.training.models import build
from solutions.training.recipe import BadRecipe
from tests.training.students import ANSWERS, differently_written, hand_in, recipe


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_a_differently_written_answer_trains_like_the_reference(
    desk: Path, tiny_data: Dataset, kind: str
) -> None:
    mine, asked = differently_written(desk, tiny_data), recipe(optimizer=kind)
    theirs = train(asked, data=tiny_data, seed=3, model=mine.model, step50=mine.step50)
    reference = train(asked, data=tiny_data, seed=3)
    assert jax.tree.structure(theirs.params) != jax.tree.structure(reference.params)
    for one, other in zip(theirs.history, reference.history, strict=True):
        assert one["train_loss"] == pytest.approx(other["train_loss"], abs=1e-4)
        assert one["test_accuracy"] == other["test_accuracy"]


def test_a_step_that_takes_arrays_and_joins_paths_trains_any_model(
    desk: Path, tiny_data: Dataset
) -> None:
    """The schedule gets what it gets in a step, the mask a tree as Flax's, all of dicts."""
    hand_in(desk, 46, ANSWERS / "46_vit_cls" / "right" / "setup_fused_qkv.py")
    hand_in(desk, 50, ANSWERS / "50_train_step" / "right" / "joined_paths_lax.py")
    asked = recipe(weight_decay=0.1)
    mine = answers(asked, tiny_data.image_shape, 2)
    theirs = train(asked, data=tiny_data, seed=3, model=mine.model, step50=mine.step50)
    reference = train(asked, data=tiny_data, seed=3)
    for one, other in zip(theirs.history, reference.history, strict=True):
        assert one["train_loss"] == pytest.approx(other["train_loss"], abs=1e-4)
        assert one["learning_rate"] == pytest.approx(other["learning_rate"], abs=1e-7)


def test_a_differently_written_answer_starts_where_the_reference_starts(
    desk: Path, tiny_data: Dataset
) -> None:
    mine = differently_written(desk, tiny_data)
    assert mine.model is not None
    assert all("is yours" in note for note in mine.notes)
    assert sorted(mine.texts) == [46, 50]
    reference = build(recipe(), tiny_data.image_shape, 2)
    images = tiny_data.test_images[:3].astype(np.float32) / 255
    found = []
    for model in (mine.model, reference):
        params = jax.jit(model.init)(jax.random.key(0))
        weights = model.attention(params, images[0])
        assert weights is not None
        found.append((jax.jit(model.apply)(params, images), weights))
    for one, other in zip(*found, strict=True):
        assert np.allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("name", ["norm_table_from_one", "own_positions_norm_rows"])
def test_an_answer_in_pieces_starts_where_the_reference_starts(
    name: str, desk: Path, tiny_data: Dataset
) -> None:
    hand_in(desk, 46, ANSWERS / "46_vit_cls" / "right" / f"{name}.py")
    mine = answers(recipe(), tiny_data.image_shape, 2).model
    assert mine is not None
    reference = build(recipe(), tiny_data.image_shape, 2)
    images = tiny_data.test_images[:3].astype(np.float32) / 255
    one, other = (
        jax.jit(model.apply)(jax.jit(model.init)(jax.random.key(0)), images)
        for model in (mine, reference)
    )
    assert np.allclose(one, other, atol=1e-4)


def test_whose_functions_a_run_uses_is_said(desk: Path, tiny_data: Dataset) -> None:
    hand_in(desk, 50, ANSWERS / "50_train_step" / "right" / "by_hand.py")
    mine = answers(recipe(mixup=0.4), tiny_data.image_shape, 2)
    assert mine.notes[1].endswith(
        "50_train_step.py: learning_rate_schedule, weight_decay_mask, make_optimizer; in place of "
        "train_step, since mixed images belong to two classes, the course has its own"
    )
    mine = answers(recipe(optimizer="muon"), tiny_data.image_shape, 2)
    assert "in place of make_optimizer, which has no muon" in mine.notes[1]


def saved_run(folder: Path, mine: Mine, data: Dataset) -> runs.Run:
    run = runs.new(folder, recipe(), 0, data, "train --mine", mine.texts)
    run.save()
    (folder / runs.ANSWERS).mkdir()
    for number, text in mine.sources.items():
        (folder / runs.ANSWERS / catalogue.solution_path(number).name).write_text(text)
    return runs.read(folder)


@pytest.fixture
def blocks_run(desk: Path, tiny_data: Dataset, tmp_path: Path) -> runs.Run:
    """A run of an answer to 46 that uses the student's own encoder block."""
    hand_in(desk, 46, ROOT / "solutions" / "46_vit_cls.py")
    hand_in(desk, 41, ANSWERS / "41_encoder_block" / "right" / "textbook.py")
    mine = answers(recipe(), tiny_data.image_shape, 2)
    assert "in it use(41) is your own, from problems/41_encoder_block.py" in mine.notes[0]
    assert mine.sources[41] == (desk / "41_encoder_block.py").read_text()
    run = saved_run(tmp_path / "run", mine, tiny_data)
    assert sorted(run.mine) == [41, 46]
    return run


def test_a_run_goes_on_with_the_answers_it_began_with(desk: Path, blocks_run: runs.Run) -> None:
    hand_in(desk, 50, ANSWERS / "50_train_step" / "right" / "by_hand.py")
    hand_in(desk, 41, ANSWERS / "41_encoder_block" / "right" / "fused_split.py")
    (desk / "46_vit_cls.py").write_text("def vit_cls_forward(): ...")
    again = answers_of(blocks_run)
    assert again.texts == blocks_run.mine
    assert "yours, from answers/46_vit_cls.py: vit_cls_forward; in it use(41)" in again.notes[0]
    assert again.notes[0].endswith("use(41) is your own, from answers/41_encoder_block.py")
    assert again.step50 is None
    assert "problem 50 is the reference's, as when the run began" in again.notes[1]


def test_a_lost_copy_is_no_loss_while_the_answer_is_there(desk: Path, blocks_run: runs.Run) -> None:
    copy = blocks_run.folder / runs.ANSWERS / "41_encoder_block.py"
    copy.write_text(copy.read_text() + "# edited\n")
    assert "from problems/41_encoder_block.py" in answers_of(blocks_run).notes[0]
    hand_in(desk, 41, ANSWERS / "41_encoder_block" / "right" / "fused_split.py")
    told = "answers to 41, 46; the text that it had for 41 is neither in .*answers nor in problems$"
    with pytest.raises(BadRecipe, match=told):
        answers_of(blocks_run)


def test_what_never_passed_here_is_not_run(
    desk: Path, tiny_data: Dataset, tmp_path: Path, blocks_run: runs.Run
) -> None:
    text = "raise SystemExit('the code of a stranger')"
    theirs = Mine(None, None, (), {41: text, 46: text})
    run = saved_run(tmp_path / "stranger's", theirs, tiny_data)
    with pytest.raises(BadRecipe, match=r"answers for 41, 46 has not passed here: it is not run\."):
        answers_of(run)
    with pytest.raises(BadRecipe, match="has not passed here: it is not run"):
        of_run(run)


def test_a_model_that_no_longer_passes_is_not_taken_for_the_reference(
    desk: Path, tiny_data: Dataset, tmp_path: Path
) -> None:
    hand_in(desk, 46, ROOT / "solutions" / "46_vit_cls.py", passed=False)
    hand_in(desk, 50, ANSWERS / "50_train_step" / "right" / "by_hand.py")
    mine = answers(recipe(), tiny_data.image_shape, 2)
    run = saved_run(tmp_path / "run", mine, tiny_data)
    with pytest.raises(NoCheckpoint):  # of the reference's model: only problem 50 was theirs
        of_run(run)
    run = saved_run(
        tmp_path / "other", dataclasses.replace(mine, sources={46: "x", 50: "y"}), tiny_data
    )
    with pytest.raises(BadRecipe, match="46 has not passed here"):
        of_run(run)


def test_on_an_accelerator_their_matrix_products_are_bfloat16(
    desk: Path, tiny_data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_in(desk, 46, ROOT / "solutions" / "46_vit_cls.py")
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    model = answers(recipe(), tiny_data.image_shape, 2).model
    assert model is not None
    params = jax.eval_shape(model.init, jax.random.key(0))
    images = jax.ShapeDtypeStruct((2, *tiny_data.image_shape), np.float32)

    def loss(params: Any, images: Any) -> jax.Array:
        return model.apply(params, images).sum()

    program = jax.jit(jax.grad(loss)).trace(params, images).lower(lowering_platforms=("cuda",))
    lines = program.as_text().splitlines()
    products = [line.rpartition(":")[2] for line in lines if "stablehlo.dot_general" in line]
    assert len(products) > 20
    assert not [types for types in products if "f32>" in types]
    assert not [line for line in lines if "optimization_barrier" in line]


def test_what_has_not_passed_does_not_train(desk: Path, tiny_data: Dataset) -> None:
    with pytest.raises(BadRecipe, match="there is no answer of yours"):
        answers(recipe(), tiny_data.image_shape, 2)
    hand_in(desk, 46, ROOT / "solutions" / "46_vit_cls.py", passed=False)
    with pytest.raises(BadRecipe, match="yours has changed since it passed"):
        answers(recipe(), tiny_data.image_shape, 2)
    progress.read().clear()
    with pytest.raises(BadRecipe, match=r"yours has not passed \(python -m grader 46\)"):
        answers(recipe(), tiny_data.image_shape, 2)


def test_what_only_the_reference_can_do_is_said(desk: Path, tiny_data: Dataset) -> None:
    hand_in(desk, 46, ROOT / "solutions" / "46_vit_cls.py")
    with pytest.raises(BadRecipe, match=r"drop_path is 0.1; that needs the reference's model"):
        answers(recipe(drop_path=0.1), tiny_data.image_shape, 2)


@pytest.mark.slow
def test_grade_then_train_on_the_digits(tmp_path: Path) -> None:
    for folder in ("grader", "solutions", "problems"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    answer = ANSWERS / "46_vit_cls" / "right" / "raw_params.py"
    answer_name = "46_vit_cls.py"
    shutil.copy(answer, tmp_path / "problems" / answer_name)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "grader", *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path), "JAX_PLATFORMS": "cpu"},
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )

    assert run("46").returncode == 0
    done = run("train", "--mine", "--out", "run")
    assert done.returncode == 0, done.stderr
    assert "problem 46 is yours, from problems/46_vit_cls.py: vit_cls_forward" in done.stdout
    last = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["test_accuracy"] > 0.98
    assert (tmp_path / "run" / "answers" / answer_name).read_text() == answer.read_text()
    (tmp_path / "problems" / answer_name).write_text(answer.read_text() + "# changed later\n")
    done = run("eval", "run")
    assert done.returncode == 0, done.stderr
    assert f"{last['test_accuracy']:.2%}" in done.stdout

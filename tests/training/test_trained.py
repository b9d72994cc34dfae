"""``eval`` and ``predict`` on images and folders that are not quite what a run began with."""

from __future__ import annotations

import itertools
import re
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from solutions.training import data, runs
from solutions.training.checkpoints import Checkpoints
from solutions.training.models import build
from tests.training.conftest import TINY, said


def a_run(folder: Path, images: Path) -> Path:
    """A run on these images, with parameters as it may begin with: nothing is trained."""
    found = data.load(str(images))
    runs.new(folder, TINY, 0, found, "train").save()
    params = jax.jit(build(TINY, found.image_shape, len(found.classes)).init)(jax.random.key(0))
    checkpoints = Checkpoints(folder / "checkpoints")
    checkpoints.save(1, {"state": {"params": params}}, (), 0.0)
    checkpoints.wait()
    checkpoints.close()
    return folder


def in_colour(images: Path, folder: Path) -> Path:
    for file in images.rglob("*.png"):
        place = folder / file.relative_to(images)
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.open(file).convert("RGB").save(place)
    return folder


def test_eval_takes_grey_for_colour_and_colour_for_grey(
    shades_folder: Path, image_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    next(image_folder.rglob("*.png")).unlink()  # so that it is another dataset
    tested = (image_folder, in_colour(image_folder, tmp_path / "in colour"))
    for trained_on in (shades_folder, in_colour(shades_folder, tmp_path / "colour")):
        run = a_run(tmp_path / f"run on {trained_on.name}", trained_on)
        told = []
        for images in tested:
            code, line, errors = said(capsys, "eval", str(run), "--data", str(images))
            assert code == 0, errors
            told.append(line.partition(f"{images}: ")[2])
        assert " of 59 right" in told[0]
        assert told[0] == told[1]


def test_a_run_json_of_another_model_is_one_line(
    image_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = a_run(tmp_path / "run", image_folder)
    told = (run / "run.json").read_text()
    assert told.count(f'"width": {TINY.width}') == 1
    (run / "run.json").write_text(told.replace(f'"width": {TINY.width}', '"width": 4'))
    code, _, errors = said(capsys, "eval", str(run), "--data", str(image_folder))
    assert code == 2
    assert "has other parameters than the model of run.json, which is not as it was" in errors
    assert len(errors.splitlines()) == 1


def test_predict_takes_an_image_that_is_not_square_as_it_is(
    image_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in image_folder.rglob("*.png"):
        Image.open(file).resize((12, 8)).save(file)
    run, one = a_run(tmp_path / "run", image_folder), next(image_folder.rglob("*.png"))
    code, told, errors = said(capsys, "predict", str(run), str(one))
    assert code == 0, errors
    assert "bright " in told and f"attention: {run}" in told
    other = tmp_path / "other.png"
    Image.open(one).rotate(90, expand=True).save(other)
    code, _, errors = said(capsys, "predict", str(run), str(other))
    assert code == 2
    assert f"{other}: an image of 12 × 8, but the run has images of 8 × 12; bring it" in errors


def test_eval_takes_images_of_some_of_the_classes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are known by name, not by number."""
    names, noise = ("ape", "bee", "cat"), np.random.default_rng(0)
    for part, name in itertools.product(("train", "test"), names):
        (tmp_path / "all" / part / name).mkdir(parents=True)
        for i in range(9):
            pixels = noise.integers(0, 256, (8, 8), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "all" / part / name / f"{i}.png")
    run = a_run(tmp_path / "run", tmp_path / "all")

    def right_of(folder: Path) -> int:
        code, told, errors = said(capsys, "eval", str(run), "--data", str(folder))
        assert code == 0, errors
        found = re.search(r"(\d+) of \d+ right", told)
        assert found is not None
        return int(found[1])

    of_pairs = []
    for left_out in names:
        shutil.copytree(tmp_path / "all", tmp_path / left_out)
        for part in ("train", "test"):
            shutil.rmtree(tmp_path / left_out / part / left_out)
        of_pairs.append(right_of(tmp_path / left_out))
    assert sum(of_pairs) == 2 * right_of(tmp_path / "all") > 0
    assert len(set(of_pairs)) > 1


def test_predict_looks_at_all_images_that_can_be_read(
    image_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, one = a_run(tmp_path / "run", image_folder), next(image_folder.rglob("*.png"))
    broken, missing = tmp_path / "broken.png", tmp_path / "missing.png"
    broken.write_bytes(one.read_bytes()[:40])
    code, told, errors = said(capsys, "predict", str(run), *map(str, (broken, one, missing, one)))
    assert code == 2
    assert told.count(f"{one}: ") == 1  # named twice, looked at once
    assert [line.split(": ")[1] for line in errors.splitlines()] == [str(broken), str(missing)]
    code, told, errors = said(capsys, "predict", str(run), str(broken), str(missing))
    assert (code, told, len(errors.splitlines())) == (2, "", 2)


@pytest.mark.parametrize(
    "words", [["eval", "RUN"], ["predict", "RUN", "IMAGE"], ["train", "--resume", "RUN"]]
)
@pytest.mark.parametrize("has_teacher", [False, True])
def test_a_distillation_is_no_run(
    words: list[str], has_teacher: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has a ``run.json``, too, but what it trained is no classifier."""
    run = runs.new(tmp_path / "a b", TINY, 0, data.digits(), "distill")
    run.save()
    (run.folder / "distill.json").touch()
    told = f"{run.folder} is a distillation; to go on with it: python -m grader distill --resume "
    told += f"'{run.folder}'"
    if has_teacher:
        (run.folder / "teacher").mkdir()
        (run.folder / "teacher" / "run.json").touch()
        told += f". Its teacher is a run: {run.folder}/teacher"
    code, _, errors = said(capsys, *(str(run.folder) if word == "RUN" else word for word in words))
    assert code == 2
    assert errors == f"grader: {told}\n"
    assert len(errors.splitlines()) == 1

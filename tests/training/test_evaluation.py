"""A trained model at work."""

from __future__ import annotations

import base64
import dataclasses
import io
import re
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from solutions.training import figures, report, runs
from solutions.training.data import Dataset
from solutions.training.evaluation import Classifier
from solutions.training.loop import Line
from solutions.training.models import build
from tests.training.conftest import TINY


@pytest.fixture
def every_program_is_kept() -> Iterator[None]:
    name = "jax_persistent_cache_min_compile_time_secs"
    before = getattr(jax.config, name)
    jax.config.update(name, 0.0)
    yield
    jax.config.update(name, before)


def test_the_next_runs_parameters_need_no_new_programs(
    tiny_data: Dataset, every_program_is_kept: None
) -> None:
    cache = Path(jax.config.jax_compilation_cache_dir)
    known, images = [], tiny_data.test_images
    for seed in (0, 1):
        model = build(TINY, tiny_data.image_shape, 2)
        params = jax.jit(model.init)(jax.random.key(seed))
        classifier = Classifier(model, params, tiny_data.statistics)
        probabilities = classifier.probabilities(images)
        assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
        seen = classifier.attention(images[0])
        assert seen is not None
        assert seen.shape == (2, 2, 2)
        known.append({path.name for path in cache.glob("*-cache")})
    assert known[0]
    assert known[1] == known[0]


def one_epoch(test_accuracy: float = 0.5) -> Line:
    """A line of ``metrics.jsonl``."""
    return {
        "epoch": 1,
        "train_loss": 0.5,
        "train_accuracy": 0.5,
        "test_loss": 0.5,
        "images_per_second": 9.0,
        "learning_rate": 0.1,
        "seconds": 2.0,
        "test_accuracy": test_accuracy,
    }


def test_a_report_of_one_epoch(tiny_data: Dataset, tmp_path: Path) -> None:
    model = build(TINY, tiny_data.image_shape, 2)
    classifier = Classifier(model, jax.jit(model.init)(jax.random.key(0)), tiny_data.statistics)
    run = runs.new(tmp_path, TINY, 7, tiny_data, "train")
    page = report.write(run, [one_epoch()], classifier, tiny_data).read_text()
    assert "<h1>shades (recipe tiny): 50.00%</h1>" in page
    assert "after 1 epoch in 2 s, compiling and testing included; " in page
    assert f"40 images to train on, seed 7, on {jax.device_count()} × " in page
    assert "<th>seed</th>" not in page
    png = re.search("alt='Curves' src='data:image/png;base64,(.*?)'", page)
    assert png is not None
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(png[1]))).convert("RGB"))
    rate = picture[:, picture.shape[1] * 2 // 3 :]  # a dot of Matplotlib's first colour
    assert (rate == (31, 119, 180)).all(axis=-1).sum() > 40


@pytest.mark.parametrize("apart", [0, 1])
def test_a_report_tells_the_accuracy_of_the_run(
    tiny_data: Dataset, tmp_path: Path, apart: int
) -> None:
    """Also where its own predictions, by another program, are rounded to another class."""
    model, images = build(TINY, tiny_data.image_shape, 2), tiny_data.test_images
    classifier = Classifier(model, jax.jit(model.init)(jax.random.key(0)), tiny_data.statistics)
    predicted = classifier.probabilities(images).argmax(axis=1)
    right = int((predicted == tiny_data.test_labels).sum())
    told = right + (apart if right < len(images) else -apart)
    run = runs.new(tmp_path, TINY, 7, tiny_data, "train")
    page = report.write(run, [one_epoch(told / len(images))], classifier, tiny_data).read_text()
    assert f"<p class=note>{told} of {len(images)} test images" in page
    assert (f"{right} right: computed anew" in page) == bool(apart)


def test_the_commonest_mistakes_of_many_classes_are_told_by_name(
    tiny_data: Dataset, tmp_path: Path
) -> None:
    many = tuple(f"class {i}" for i in range(21))
    labels = np.array([20] * 5 + [3] * 4 + [0] * 2, np.int32)
    data = dataclasses.replace(tiny_data, classes=many, test_labels=labels)
    model = build(TINY, data.image_shape, len(many))
    params = jax.tree.map(np.zeros_like, jax.jit(model.init)(jax.random.key(0)))
    run = runs.new(tmp_path, TINY, 7, data, "train")
    classifier = Classifier(model, params, data.statistics)  # of equal logits the first is largest
    page = report.write(run, [one_epoch()], classifier, data).read_text()
    found = re.findall("<th>(class .*? taken for .*?)</th><td>(.*?)</td>", page)
    assert found == [
        ("class 20 taken for class 0", "5 of 5"),
        ("class 3 taken for class 0", "4 of 4"),
    ]


def test_long_names_leave_room_for_the_matrix() -> None:
    labels, coloured = np.array([0, 1, 1]), []
    for name in ("dog", "a very long class name", "a very long class name that goes on and on"):
        png = figures.confusion(labels, labels, (name, "cat"))
        red, _, blue = np.moveaxis(
            np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), int), 2, 0
        )
        coloured.append(int((blue - red > 40).sum()))  # the cells of the matrix
    assert min(coloured) > 0.95 * max(coloured) > 5000


def test_a_class_with_dollars_in_its_name_is_no_formula() -> None:
    classes = ("10%-20%", "$10%-$20")
    labels, predicted = np.array([0, 1, 1]), np.array([[0.1, 0.9], [0.6, 0.4], [0.2, 0.8]])
    for page in (
        figures.confusion(labels, predicted.argmax(axis=1), classes),
        figures.mistakes(np.zeros((3, 4, 4, 1), np.uint8), labels, predicted, classes),
    ):
        assert page is not None
        assert page.startswith(b"\x89PNG")


def test_the_worst_mistakes_are_those_of_highest_confidence() -> None:
    probabilities = np.array(
        [[0.9, 0.1, 0.0], [0.45, 0.4, 0.15], [0.1, 0.2, 0.7], [0.0, 0.6, 0.4], [0.4, 0.45, 0.15]]
    )
    labels = np.array([0, 2, 1, 0, 0])  # of the wrong ones, row 3 gave its true class the least
    assert figures.most_confident_mistakes(labels, probabilities).tolist() == [2, 3, 1, 4]

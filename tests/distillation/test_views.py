"""Where a student looks: its maps fit its embedding, which is made of them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from solutions.distillation import Distillation, Distilled, folder, report
from solutions.distillation.measure import compare, embed_both
from solutions.distillation.run_teacher import as_teacher
from solutions.distillation.settings import STUDENT
from solutions.distillation.task import student_apply, student_of
from solutions.distillation.teacher import Preparation, Teacher
from solutions.distillation.views import patch_similarity, pooling_maps, teacher_maps
from solutions.training.data import digits
from solutions.training.models import linen_module
from solutions.training.recipe import Recipe
from tests.random_params import random_params


@pytest.fixture(scope="module")
def distilled() -> Distilled:
    """A student with random weights: nothing is trained."""
    recipe = dataclasses.replace(STUDENT, patch_size=4, heads=2, depth=1)
    asked = Distillation(recipe).sized(6)
    data, student = digits(), student_of(asked)
    teacher = Teacher(lambda _, image: 1 + image.ravel()[:6], {}, Preparation())
    params = random_params(student, jnp.zeros(data.image_shape))
    params["scale"] = np.float32(1.5)
    return Distilled(asked, (), params, student, teacher, data, 0, True)


def test_the_embedding_is_the_mean_of_the_patches_with_the_weights_of_the_map(
    distilled: Distilled,
) -> None:
    images = distilled.data.test_images[:3]
    maps = pooling_maps(distilled, images)
    assert maps.shape == (3, 2, 2)
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), 1, atol=1e-5)
    # Every patch has length 1.5, so 1.5 times its cosine with an axis is its coordinate.
    cosines = np.stack([patch_similarity(distilled, axis, images) for axis in np.eye(6)], axis=-1)
    means = (maps[..., None] * 1.5 * cosines).sum(axis=(1, 2))
    np.testing.assert_allclose(means, distilled.embed(images), atol=1e-4)


@pytest.mark.parametrize("kind", ["mean_pool", "registers"])
def test_a_teacher_s_map_is_a_distribution_on_its_grid(kind: str, distilled: Distilled) -> None:
    recipe = Recipe(model=kind, patch_size=4, width=12, heads=2, depth=1, mlp=8, registers=2)
    shape, images = (8, 8, 1), distilled.data.test_images[:3]
    params: Any = random_params(linen_module(recipe, 10), jnp.zeros(shape))
    teacher = as_teacher(recipe, shape, 10, params, ((100.0,), (50.0,)))
    maps = teacher_maps(teacher, images)
    assert maps is not None and maps.shape == (3, 2, 2)
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), 1, atol=1e-5)
    # Without a last block's attention to read there is nothing to show.
    assert teacher_maps(distilled.teacher, images) is None
    # Queries that are all the same give every patch as much.
    for block in (name for name in params if name.startswith("block_")):
        query = params[block]["attention"]["query"]
        params[block]["attention"]["query"] = jax.tree.map(np.zeros_like, query)
    teacher = as_teacher(recipe, shape, 10, params, ((100.0,), (50.0,)))
    even = teacher_maps(teacher, images)
    assert even is not None
    np.testing.assert_allclose(even, 1 / 4, atol=1e-6)


def test_a_page_from_a_student_that_was_never_trained(distilled: Distilled, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    line = {"epoch": 1.0, "seconds": 2.0, "images_per_second": 700.0, "learning_rate": 0.0}
    line |= {"train_loss": 3.0, "test_loss": 2.5, "test_cosine": 0.1}
    data = distilled.data
    few = dataclasses.replace(
        data, train_images=data.train_images[:60], train_labels=data.train_labels[:60]
    )
    shown = dataclasses.replace(distilled, history=(line,), data=few)
    run = folder.new(tmp_path / "run", distilled.asked, 0, few, "distill <here>")
    run.save()
    path, numbers = report.write(run, shown, {"waves": np.sin(np.arange(6.0))})
    text = path.read_text(encoding="utf-8")
    assert "src='http" not in text and "<script" not in text
    assert text.count("data:image/png;base64,") == 4
    assert json.loads((tmp_path / "run/comparison.json").read_text())["cosine"] == numbers.cosine
    ours = shown.embed(few.test_images)
    theirs = 1 + few.test_images.reshape(len(ours), -1)[:, :6] / 255
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    np.testing.assert_allclose(
        numbers.cosine, np.mean((ours * theirs).sum(axis=1) / lengths), rtol=1e-3
    )
    assert (
        report.agreement(distilled.asked, numbers)
        == f"cosine with the teacher {numbers.cosine:.3f}"
    )
    for words in ("waves", "linear probe, fitted to 60", "distill &lt;here&gt;", "700 images/s"):
        assert words in text


def test_a_student_of_classes_is_judged_by_the_classes_that_the_teacher_sees(
    distilled: Distilled,
) -> None:
    student = student_apply(distilled.student, distilled.asked.recipe, distilled.data.statistics)

    def teacher(sign: float) -> Teacher:
        """Knows two classes, by a number of the student's embedding or its opposite."""

        def embed(params: Any, image: Any) -> Any:
            return sign * student({"params": params}, image[None])[0]

        return Teacher(
            embed, distilled.params, Preparation(), classify=lambda _, e: jnp.stack([e[0], -e[0]])
        )

    kl = dataclasses.replace(distilled.asked, loss="kl")
    for sign, share in ((1.0, "100.0%"), (-1.0, "0.0%")):
        shown = dataclasses.replace(distilled, asked=kl, teacher=teacher(sign))
        numbers = compare(shown, embed_both(shown))
        assert report.agreement(kl, numbers) == (
            f"the teacher's class for {share} of the test images"
        )

"""The distillation as a library: losses as options, teachers from runs, the loop, resuming."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from solutions.distillation import Distillation, Distilled, distill
from solutions.distillation.losses import (
    affinity_mimicking,
    cosine_and_mse,
    hard_label,
    kl_divergence,
    normalized_l1,
)
from solutions.distillation.measure import Embedded, compare
from solutions.distillation.objectives import curve_names, objective, words_of
from solutions.distillation.queries import (
    check_query,
    keep_queries,
    kept_queries,
    read_queries,
    read_query,
)
from solutions.distillation.run import TeacherUnfinished, of_all_classes
from solutions.distillation.run_teacher import as_teacher, embedding_width, with_prototypes
from solutions.distillation.settings import LOSSES, SOFTENED, STUDENT
from solutions.distillation.teacher import Preparation, Teacher
from solutions.distillation.views import search
from solutions.training.data import BadData, Dataset, digits
from solutions.training.loop import Silent
from solutions.training.models import build
from solutions.training.recipe import BadRecipe, Recipe

SMALL = dataclasses.replace(
    STUDENT, heads=2, depth=1, epochs=2, batch_size=40, checkpoint_every=1, eval_every=1
)


def few_digits() -> Dataset:
    full = digits()
    parts = (full.train_images[:160], full.train_labels[:160])
    return Dataset("few", *parts, full.test_images[:50], full.test_labels[:50], full.classes)


def pixel_teacher() -> Teacher:
    """A fixed affine map of the pixels."""
    weights = jnp.asarray(np.random.default_rng(0).standard_normal((64, 6), np.float32))
    return Teacher(lambda params, image: 1 + image.ravel() @ params, weights, Preparation())


class StopAfter(Silent):
    """Asks to stop when so many steps were made."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def on_progress(self, progress: object) -> None:
        self.left -= 1

    def stop_asked(self) -> bool:
        return self.left <= 0


def run(asked: Distillation, out: Path, watch: Silent | None = None) -> Distilled:
    return distill(asked, data=few_digits(), teacher=pixel_teacher(), out=out, watch=watch)


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOSSES)
def test_stopped_and_resumed_is_bit_for_bit_the_same_with_every_loss(
    loss: str, tmp_path: Path
) -> None:
    """The teacher knows no classes: where a loss wants some, prototypes make them.

    The images may have moved in the meantime.
    """
    asked = Distillation(dataclasses.replace(SMALL, epochs=4), loss=loss)
    straight = run(asked, tmp_path / "straight")
    stopped = run(asked, tmp_path / "stopped", StopAfter(2))
    assert not stopped.finished and 0 < stopped.step < straight.step
    resumed = run(asked.with_changes({"data": "elsewhere"}, {}), tmp_path / "stopped")
    jax.tree.map(np.testing.assert_array_equal, resumed.params, straight.params)
    first, *_, last = straight.history
    assert resumed.history[-1]["test_loss"] == last["test_loss"]
    assert last["test_loss"] < first["test_loss"]


def test_a_search_asks_both() -> None:
    student, teacher = np.eye(4), np.eye(4)[[1, 0, 2, 3]]
    found = search("q", np.array([4.0, 3.0, 2.0, 1.0]), student, teacher, label=2)
    assert found.student.order.tolist() == [0, 1, 2, 3]
    assert found.teacher.order.tolist() == [1, 0, 2, 3]
    assert found.shared(1) == 0 and found.shared(2) == 1


def test_every_loss_is_the_library_s() -> None:
    generator = np.random.default_rng(2)
    s, t, prototypes = (generator.standard_normal((4, 3)).astype(np.float32) for _ in range(3))
    head = generator.standard_normal((3, 4)).astype(np.float32)
    labels = np.arange(4)
    want = {
        "l1": normalized_l1(s, t, 7.0),
        "cosine": cosine_and_mse(s, t),
        "kl": kl_divergence(s @ head, t @ head, 3.0),
        "kl-deit": kl_divergence(s @ head, t @ head, 3.0, "deit"),
        "hard": hard_label(s @ head, s @ head, t @ head, labels),
        "affinity": affinity_mimicking(s, prototypes, t, prototypes),
    }
    assert tuple(want) == LOSSES
    asked = {
        name: Distillation(loss=name, norm=7.0, temperature=3.0 if name in SOFTENED else 2.0)
        for name in LOSSES
    }
    goals = {
        name: objective(one, lambda e: e @ head, jnp.asarray(prototypes))
        for name, one in asked.items()
    }
    found = jax.jit(lambda *x: {n: (g.of_batch(*x), g.of_each(*x)) for n, g in goals.items()})
    for name, (batch, each) in found(s, t, labels).items():
        value = want[name]
        assert float(batch) == pytest.approx(float(value), rel=1e-5)
        assert each.shape == (4,) and words_of(asked[name])
        if name != "affinity":
            assert float(each.mean()) == pytest.approx(float(value), rel=1e-5)
            assert curve_names(asked[name]) == ("train", "test")
    # Its losses of training and testing are not the same number: the legend says so.
    assert curve_names(asked["affinity"]) == (
        "train (by image and by class)",
        "test (by image only)",
    )
    with pytest.raises(ValueError, match="needs a teacher that knows classes"):
        objective(Distillation(loss="kl"))
    with pytest.raises(ValueError, match="needs an embedding for each class"):
        objective(Distillation(loss="affinity"))


@pytest.mark.parametrize("kind", ["mean_pool", "registers", "extra_head"])
def test_a_run_s_embedding_is_what_its_head_reads(kind: str) -> None:
    recipe = Recipe(model=kind, patch_size=4, width=12, heads=2, depth=1, mlp=8, registers=2)
    shape, statistics = (8, 8, 1), ((100.0,), (50.0,))
    images = digits().test_images[:2]
    model = build(recipe, shape, 10)
    generator = np.random.default_rng(3)
    params = jax.tree.map(
        lambda leaf: generator.standard_normal(leaf.shape, np.float32) / 3,
        jax.eval_shape(model.init, jax.random.key(0)),
    )
    assert embedding_width(recipe) == (10 if kind == "extra_head" else 12)
    teacher = as_teacher(recipe, shape, 10, params, statistics)
    assert teacher.classify is not None and teacher.grid == (2, 2)

    @jax.jit
    def both(values: jax.Array) -> tuple[jax.Array, jax.Array]:
        embeddings = teacher.apply({"params": teacher.params}, values / 255)
        logits = jax.vmap(lambda e: teacher.classify(teacher.params, e))(embeddings)
        return logits, model.apply(params, (values - 100) / 50)

    ours, theirs = both(images.astype(np.float32))
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_prototypes_make_classes() -> None:
    prototypes = np.eye(3)[:2]
    teacher = with_prototypes(pixel_teacher(), prototypes, scale=10.0)
    assert teacher.classify is not None
    np.testing.assert_allclose(
        teacher.classify(None, jnp.array([3.0, 4.0, 0.0])), [6, 8], rtol=1e-6
    )
    assert with_prototypes(teacher, prototypes[:1]) is teacher


def test_images_of_all_classes() -> None:
    labels = np.array([0] * 50 + [2] * 3 + [1] * 50)
    rows = of_all_classes(labels, 30)
    assert np.bincount(labels[rows]).tolist() == [10, 10, 3]
    assert of_all_classes(labels, 1).tolist() == [0, 50, 53]


def test_a_query_is_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "q.npy"
    for values, says in (
        (np.ones((2, 3)), "one array of floats"),
        (np.arange(3), "one array of floats"),
        (np.zeros(3), "has no direction"),
        (np.array([1.0, np.nan]), "has no direction"),
    ):
        np.save(path, values)
        with pytest.raises(BadData, match=says):
            read_query(path)
    np.save(path, np.array([1.0, 2.0]))
    np.testing.assert_array_equal(read_query(path), [1, 2])
    with pytest.raises(BadData, match="has length 2; the teacher's embeddings have 3"):
        check_query("q", read_query(path), 3)
    with pytest.raises(BadData, match="cannot be read: No such file"):
        read_query(tmp_path / "missing.npy")
    for content in (b"1, 2", b"", b"PK\x03\x04 no archive"):
        path.write_bytes(content)
        with pytest.raises(BadData, match=r"cannot be read as \.npy; write it with"):
            read_query(path)


def test_queries_are_kept_for_a_resumed_run(tmp_path: Path) -> None:
    assert kept_queries(tmp_path) == {}
    (tmp_path / "a").mkdir()
    for name in ("seven", "a/seven", "a/one"):
        np.save(tmp_path / f"{name}.npy", np.array([0.1, len(name)]))
    found = read_queries([tmp_path / "seven.npy", tmp_path / "a/one.npy"])
    keep_queries(tmp_path / "run", found)
    again = kept_queries(tmp_path / "run")
    assert list(again) == ["seven", "one"]
    np.testing.assert_array_equal(again["one"], [0.1, 5])
    with pytest.raises(BadData, match="two queries are called seven"):
        read_queries([tmp_path / "seven.npy", tmp_path / "a/seven.npy"])
    (tmp_path / "run/queries.json").write_text("[")
    with pytest.raises(BadData, match=r"queries\.json cannot be read"):
        kept_queries(tmp_path / "run")


def test_half_a_teacher_teaches_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A training of the teacher that was stopped; who looks on is asked, too."""
    looking = Silent()

    def stopped(recipe: Recipe, **options: Any) -> Any:
        assert options["watch"] is looking
        return SimpleNamespace(finished=False, step=7)

    monkeypatch.setattr("solutions.distillation.run.train", stopped)
    with pytest.raises(TeacherUnfinished, match="stopped at step 7"):
        distill(Distillation(SMALL), data=few_digits(), watch=looking)


def test_parameters_are_those_of_the_embedding() -> None:
    """The classifier on top of a run's embedding is no part of it."""
    generator = np.random.default_rng(0)
    body = {"a": np.ones((2, 3)), "b": {"c": np.ones(4)}}
    teacher = Teacher(lambda _, x: x[:4, 0, 0], {**body, "head": {"kernel": np.ones((4, 9))}})
    embeddings, labels = generator.standard_normal((20, 4)), np.arange(20) % 2
    images = np.zeros((20, 8, 8, 1), np.uint8)
    found = Embedded(embeddings, embeddings, labels, embeddings, embeddings, images, labels)
    student: Any = SimpleNamespace(params=body, embed=lambda x: x, teacher=teacher)
    numbers = compare(student, found)
    assert numbers.student.parameters == numbers.teacher.parameters == 10
    assert numbers.cosine == pytest.approx(1) and numbers.nearest == 1


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(BadRecipe, match="the loss is 'l2'; it may be l1, cosine"):
        Distillation(loss="l2")
    with pytest.raises(BadRecipe, match="a distillation has no mixup"):
        Distillation(dataclasses.replace(STUDENT, mixup=0.2))
    with pytest.raises(BadRecipe, match="a distillation has no trivial_augment"):
        Distillation(dataclasses.replace(STUDENT, trivial_augment=True))
    with pytest.raises(BadRecipe, match="a distillation has no mixup_off"):
        Distillation(dataclasses.replace(STUDENT, mixup_off=0.1))
    with pytest.raises(BadRecipe, match="starts as the problems say"):
        Distillation(dataclasses.replace(STUDENT, start="mimetic"))
    with pytest.raises(BadRecipe, match="width cannot be set here"):
        Distillation().with_changes({"width": "12"}, {})
    for field in ("data", "image_size"):
        with pytest.raises(BadRecipe, match=f"{field} of the teacher cannot be set: it is train"):
            Distillation().with_changes({}, {field: "16"})
    with pytest.raises(BadRecipe, match="heads is 4; it must divide the embedding, 10"):
        Distillation().sized(10)
    with pytest.raises(BadRecipe, match="temperature is 0"):
        Distillation(temperature=0.0)
    with pytest.raises(
        BadRecipe, match="temperature is for the losses kl and kl-deit; the loss is"
    ):
        Distillation(temperature=3.0)
    both = Distillation().with_changes({"data": "mnist", "epochs": "3"}, {"depth": "2"})
    assert (both.teacher_recipe.data, both.teacher_recipe.depth) == ("mnist", 2)

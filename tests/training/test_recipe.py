"""A recipe says what is wrong with it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from solutions.distillation.settings import Distillation
from solutions.distillation.task import distillation_task
from solutions.training import train
from solutions.training.data import Dataset
from solutions.training.recipe import BadRecipe, Recipe, named, named_recipes
from tests.training.conftest import TINY


def test_numbers_of_numpy_are_numbers() -> None:
    """As a sweep has them."""
    swept = Recipe(base_lr=np.float32(0.5), width=np.int64(64))
    assert (swept.base_lr, swept.width) == (0.5, 64)
    assert type(swept.width) is int


@pytest.mark.parametrize("name", named_recipes())
def test_the_named_recipes_are_recipes(name: str) -> None:
    assert named(name).name == name


def test_an_unknown_recipe_names_the_known_ones() -> None:
    with pytest.raises(
        BadRecipe, match=r"there is no recipe .digit.; did you mean digits\? There are .*digits"
    ):
        named("digit")
    with pytest.raises(BadRecipe, match=r"no recipe 'other'; there are cifar10, .*vit-s16-224$"):
        named("other")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"model": "vit"}, "model is 'vit'; it may be mean_pool, cls, registers, extra_head"),
        ({"width": 30, "heads": 4}, "heads is 4; it must divide width, 30"),
        ({"epochs": 0}, "epochs is 0; it must be at least 1"),
        ({"base_lr": float("nan")}, "base_lr is nan; it must be a finite number"),
        ({"base_lr": float("inf")}, "base_lr is inf; it must be a finite number"),
        ({"mixup": float("nan")}, "mixup is nan; it must be a finite number"),
        ({"name": "../up"}, "name is '../up'; the folder of a run is called so: a word without /"),
        ({"model": "extra_head", "width": 4}, "width is 4; with extra_head it must be larger"),
        ({"drop_path": 1.0}, "drop_path is 1.0"),
        ({"mixup": -1.0}, "mixup is -1.0; it must not be negative"),
        ({"image_size": 0}, "image_size is 0; it must be at least 1, or none"),
        ({"start": "ones"}, "start is 'ones'; it may be problems, mimetic"),
        ({"muon_lr": 0.0}, "muon_lr is 0.0; it must be positive"),
        ({"epochs": 2.5}, "epochs is 2.5; it must be of type int"),
    ],
)
def test_a_bad_field_is_named(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(BadRecipe, match=told):
        Recipe(**wrong)


@pytest.mark.parametrize(
    ("warmup", "total", "expected"), [(0.1, 100, 10), (0.0, 100, 1), (0.9, 2, 1), (0.1, 2, 1)]
)
def test_the_warm_up_is_shorter_than_the_run(warmup: float, total: int, expected: int) -> None:
    assert Recipe(warmup=warmup).warmup_steps(total) == expected


def test_a_run_of_one_step_is_refused(tiny_data: Dataset) -> None:
    told = "the whole run has 1 step, but the schedule needs two"
    with pytest.raises(BadRecipe, match=told):
        train(dataclasses.replace(TINY, epochs=1, batch_size=40), data=tiny_data)
    asked, shape = Distillation(), (8, 8, 1)
    nobody: Any = None
    with pytest.raises(BadRecipe, match=told):
        distillation_task(asked, nobody, nobody, nobody, shape, ((0.0,), (1.0,)), 1)


def test_changes_from_text() -> None:
    changed = Recipe().with_changes({"epochs": "3", "flip": "true", "image_size": "none"})
    assert (changed.epochs, changed.flip, changed.image_size) == (3, True, None)
    assert Recipe().with_changes({"image_size": "16"}).image_size == 16


@pytest.mark.parametrize(
    ("field", "text", "told"),
    [
        ("epoch", "3", r"a recipe has no 'epoch'; did you mean epochs\? There are name, data"),
        ("epochs", "many", "epochs is 'many'; it must be of type int"),
        ("flip", "1", "flip is '1'; it may be true or false"),
    ],
)
def test_a_bad_change_is_named(field: str, text: str, told: str) -> None:
    with pytest.raises(BadRecipe, match=told):
        Recipe().with_changes({field: text})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"muon_lr": "0.1"}, "muon_lr is 0.1; without optimizer=muon it does nothing"),
        ({"mixup_off": "0.1"}, "mixup_off is 0.1; without mixup or cutmix it does nothing"),
        ({"registers": "8"}, "registers is 8; without model=registers it does nothing"),
    ],
)
def test_what_would_do_nothing_is_not_set_silently(changes: dict[str, str], told: str) -> None:
    with pytest.raises(BadRecipe, match=told):
        Recipe().with_changes(changes)


def test_what_is_set_together_or_turned_off_is_fine() -> None:
    changed = Recipe().with_changes({"muon_lr": "0.1", "optimizer": "muon"})
    assert changed.muon_lr == 0.1
    assert Recipe().with_changes({"muon_lr": "none", "mixup_off": "0"}) == Recipe()
    small = named("cifar10-small").with_changes({"optimizer": "adamw"})
    assert small.with_changes({"epochs": "3"}).epochs == 3


def test_a_field_that_comes_later_changes_no_description() -> None:
    @dataclasses.dataclass(frozen=True, repr=False)
    class Later(Recipe):
        new: float = 0.5

    assert repr(Recipe(epochs=3, flip=True)) == "Recipe(epochs=3, flip=True)"
    assert repr(Later(epochs=3, flip=True)) == "Recipe(epochs=3, flip=True)"
    assert repr(Later(new=0.0)) == "Recipe(new=0.0)"

"""What cannot be trained is told in words before anything is."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from solutions.training import train
from solutions.training.data import BadData, Dataset
from solutions.training.devices import BadDevices, placement
from solutions.training.loop import Plan, fit
from solutions.training.recipe import BadRecipe
from solutions.training.step import Task
from tests.training.conftest import TINY


def test_a_batch_larger_than_the_data(tiny_data: Dataset) -> None:
    with pytest.raises(BadRecipe, match="batch_size is 64, but there are only 40 images"):
        train(dataclasses.replace(TINY, batch_size=64), data=tiny_data)


def test_a_seed_that_no_key_has(tiny_data: Dataset) -> None:
    with pytest.raises(BadRecipe, match="seed is 4294967296; it must be from 0 to 4294967295"):
        train(TINY, seed=2**32, data=tiny_data)
    for wrong in (1.5, "a", None):
        with pytest.raises(BadRecipe, match=f"seed is {wrong!r}; it must be an integer"):
            train(TINY, seed=wrong, data=tiny_data)  # type: ignore[arg-type]


def test_names_in_place_of_what_they_name() -> None:
    with pytest.raises(BadRecipe, match=r"recipe is of type str; .*training\.named\('digits'\)"):
        train("digits")  # type: ignore[arg-type]
    with pytest.raises(BadData, match=r"data is of type str; .*: Recipe\(data='digits'\)"):
        train(TINY, data="digits")  # type: ignore[arg-type]


def test_a_batch_that_does_not_divide() -> None:
    devices = [jax.devices()[0]] * 3
    with pytest.raises(BadDevices, match="a batch of 8 images cannot be divided among 3 devices"):
        placement(8, devices)


@pytest.mark.parametrize("devices", [[], "cpu"])
def test_devices_that_are_none(devices: Any, tiny_data: Dataset) -> None:
    told = r"devices is .*; it must be a list of some of jax\.devices\(\), or None for all"
    with pytest.raises(BadDevices, match=told):
        train(TINY, data=tiny_data, devices=devices)


def test_a_state_that_changes_its_type_is_told(tiny_data: Dataset) -> None:
    """As of an optimiser whose count starts as an integer and becomes a float."""

    def step(state: Any, batch: Any, key: jax.Array) -> tuple[Any, dict[str, jax.Array]]:
        return {"count": state["count"] + 1.0}, {"loss": jnp.zeros(())}

    task = Task(
        init=lambda key: {"count": jnp.zeros((), jnp.int32)},
        step=step,
        evaluate=lambda state, batch: {"loss": jnp.zeros(len(batch["label"]))},
        learning_rate=lambda step: 0.1,
    )
    told = r"a step makes float32 \(\) of count, which is int32 \(\)"
    with pytest.raises(BadRecipe, match=told):
        fit(task, tiny_data, Plan(epochs=1, batch_size=8), placement(8))

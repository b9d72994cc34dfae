"""What does not fit into memory is a line, and is told before a CPU is asked for it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from solutions.training.data import Dataset
from solutions.training.devices import placement
from solutions.training.loop import Plan, Silent, fit
from solutions.training.memory import NoRoom
from solutions.training.step import Task
from tests.training.conftest import TINY_WORDS, said
from tests.training.test_loop import counting

SHAPE = (100, 2_500)
"""A megabyte."""
SMALLER = "make batch_size, image_size or the model .* smaller; with several devices --fsdp"


def machine_has(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many bytes of memory."""
    told = {"SC_PHYS_PAGES": count, "SC_PAGE_SIZE": 1}
    known = os.sysconf
    monkeypatch.setattr(os, "sysconf", lambda name: told[name] if name in told else known(name))


def large_state() -> Task:
    task = counting()

    def init(key: Any) -> Any:
        return {**task.init(key), "more": jax.random.uniform(key, SHAPE)}

    def step(state: Any, batch: Any, key: Any) -> Any:
        new, metrics = task.step(state, batch, key)
        return {**new, "more": state["more"]}, metrics

    return dataclasses.replace(task, init=init, step=step)


def _of_many_numbers(key: Any) -> Any:
    return jnp.sort(jax.random.uniform(key, SHAPE))[::2, ::2].sum()


def large_step() -> Task:
    task = counting()

    def step(state: Any, batch: Any, key: Any) -> Any:
        new, metrics = task.step(state, batch, key)
        return {**new, "drawn": new["drawn"] + _of_many_numbers(key)}, metrics

    return dataclasses.replace(task, step=step)


def large_test() -> Task:
    def evaluate(state: Any, batch: Any) -> Any:
        found = _of_many_numbers(jax.random.key(state["step"]))
        return {"loss": jnp.full(len(batch["label"]), found)}

    return dataclasses.replace(counting(), evaluate=evaluate)


@pytest.mark.parametrize(
    ("task", "told"),
    [
        (large_state, "the start, parameters and optimiser,"),
        (large_step, "a step of training"),
        (large_test, "the test"),
    ],
)
def test_what_a_machine_has_no_memory_for_is_not_begun(
    task: Callable[[], Task], told: str, tiny_data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine_has(900_000, monkeypatch)
    sizes = r"needs 0\.00\d+ GB of memory, and this machine has 0\.0009"
    with pytest.raises(NoRoom, match=f"^{told} {sizes}; {SMALLER}"):
        fit(task(), tiny_data, Plan(2, 8), placement(8))
    machine_has(9 * 10**9, monkeypatch)
    assert fit(task(), tiny_data, Plan(1, 8), placement(8)).finished


class Asks(Silent):
    """Calls a function when the run starts."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self._act = act

    def on_start(self, step: int, total_steps: int, history: Sequence[Any]) -> None:
        self._act()


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda: jnp.zeros((10**6, 10**9)).block_until_ready(), "RESOURCE_EXHAUSTED: .* 4000000"),
        (lambda: np.zeros((10**9, 10**9)), "Unable to allocate"),
    ],
)
def test_memory_that_is_refused_is_told_in_a_line(
    ask: Callable[[], Any], told: str, tiny_data: Dataset
) -> None:
    with pytest.raises(NoRoom, match=rf"^this does not fit into memory \({told}.*\); {SMALLER}"):
        fit(counting(), tiny_data, Plan(2, 8), placement(8), watch=Asks(ask))


def test_other_errors_of_the_device_stay_what_they_are(tiny_data: Dataset) -> None:
    def fail() -> None:
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")

    with pytest.raises(jax.errors.JaxRuntimeError, match="something else"):
        fit(counting(), tiny_data, Plan(2, 8), placement(8), watch=Asks(fail))


def test_commands_say_it_and_fail(
    tmp_path: Path,
    shades_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["train", "--data", str(shades_folder), *TINY_WORDS, "--out", str(tmp_path / "run")]
    with monkeypatch.context() as little:
        machine_has(1000, little)
        code, _, errors = said(capsys, *words)
    assert code == 1
    assert errors.startswith("grader: the start, parameters and optimiser, needs ")
    assert len(errors.splitlines()) == 1
    assert not (tmp_path / "run" / "run.json").exists()

    monkeypatch.setattr("solutions.training.data.load", lambda *_: np.zeros((10**9, 10**9)))
    code, _, errors = said(capsys, *words)
    assert code == 1
    assert errors.startswith("grader: this does not fit into memory (Unable to allocate ")
    assert len(errors.splitlines()) == 1

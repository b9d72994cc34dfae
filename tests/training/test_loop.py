"""The loop: deterministic, resumable bit for bit, compiled once."""

from __future__ import annotations

import dataclasses
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from solutions.training import Recipe, figures, train
from solutions.training.checkpoints import AnotherRun, Checkpoints
from solutions.training.data import Dataset
from solutions.training.devices import placement
from solutions.training.loop import NotANumber, Plan, Silent, fit
from solutions.training.models import build
from solutions.training.programs import Programs, batch_key, batch_rows
from solutions.training.step import Task, classification
from tests.training.conftest import TINY

pytestmark = pytest.mark.xdist_group("training loop")  # they share a run


class StopAfter(Silent):
    """Asks to stop after so many calls of the program; keeps what it is told."""

    def __init__(self, calls: int) -> None:
        self.calls = calls
        self.started: list[tuple[int, int]] = []

    def on_start(self, step: int, total_steps: int, history: Sequence[Any]) -> None:
        self.started.append((step, len(history)))

    def stop_asked(self) -> bool:
        self.calls -= 1
        return self.calls == 0


def same(one: Any, other: Any) -> bool:
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.fixture
def compilations(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], Counter[str]]]:
    """How often XLA has compiled the function of a name since the test began, in any thread."""
    for thread in threading.enumerate():
        if thread.name.startswith("compiling"):  # for a test that ended before it was needed
            thread.join()
    jax.clear_caches()
    jax.config.update("jax_log_compiles", True)
    told = r"Finished XLA compilation of jit\((\w+)\)"
    yield lambda: Counter(re.findall(told, caplog.text))
    jax.config.update("jax_log_compiles", False)


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    drops = {"depth": 2, "drop_path": 0.3}  # which a single block would never do
    return dataclasses.replace(TINY, shift=1, flip=True, ema=0.9, epochs=3, **drops)


@pytest.fixture(scope="module")
def whole(recipe: Recipe, tiny_data: Dataset) -> Any:
    return train(recipe, data=tiny_data, seed=4)


def test_it_learns_and_tells(whole: Any) -> None:
    assert whole.finished
    assert [line["epoch"] for line in whole.history] == [1, 2, 3]
    assert [line["step"] for line in whole.history] == [5, 10, 15]
    assert set(whole.history[0]) == {
        *("step", "epoch", "train_loss", "train_accuracy", "test_loss", "test_accuracy"),
        *("images_per_second", "learning_rate", "seconds"),
    }
    assert whole.history[-1]["train_loss"] < whole.history[0]["train_loss"]


def test_stopped_and_resumed_it_is_the_same_bit_for_bit(
    recipe: Recipe, whole: Any, tiny_data: Dataset, tmp_path: Path
) -> None:
    stopped = train(recipe, data=tiny_data, seed=4, out=tmp_path, watch=StopAfter(4))
    assert not stopped.finished
    with pytest.raises(AnotherRun, match="another recipe, seed, answers or images"):
        train(recipe, data=tiny_data, seed=5, out=tmp_path)
    turned = dataclasses.replace(tiny_data, test_labels=1 - tiny_data.test_labels)
    with pytest.raises(AnotherRun, match="another recipe, seed, answers or images"):
        train(recipe, data=turned, seed=4, out=tmp_path)
    watch = StopAfter(-1)
    resumed = train(recipe, data=tiny_data, seed=4, out=tmp_path, watch=watch)
    assert watch.started == [(stopped.step, len(stopped.history))]
    assert resumed.finished
    assert same(resumed.state, whole.state)
    told = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
    for one, other in zip(resumed.history, whole.history, strict=True):
        assert all(one[name] == other[name] for name in told)

    # Now the newest checkpoint is cut short, as by a dying disk: the one before it serves.
    newest = tmp_path / "checkpoints" / "15"
    for file in newest.rglob("*"):
        if file.is_file() and file.stat().st_size > 300:
            file.write_bytes(file.read_bytes()[:50])
    lines: list[str] = []
    again = train(recipe, data=tiny_data, seed=4, out=tmp_path, tell=lines.append)
    assert lines[0].startswith("the checkpoint of step 15 is skipped")
    assert same(again.state, whole.state)
    watch = StopAfter(-1)
    train(recipe, data=tiny_data, seed=4, out=tmp_path, watch=watch)
    assert watch.started == [(15, 3)]  # what replaced the damaged one


def counting() -> Task:
    """A task that keeps the sum of the labels it saw, and of a random number a step."""

    def step(state: Any, batch: Any, key: Any) -> Any:
        poisoned = (state["step"] == 7) & (state["poison"] > 0)
        loss = jnp.where(poisoned, jnp.nan, 1.0)
        new = {
            "step": state["step"] + 1,
            "seen": state["seen"] + batch["image"].astype(jnp.int32).sum(),
            "drawn": state["drawn"] + jax.random.uniform(key),
            "poison": state["poison"],
        }
        return new, {"loss": loss}

    def init(key: Any) -> Any:
        zero = jnp.zeros((), jnp.int32)
        return {"step": zero, "seen": zero, "drawn": jnp.zeros(()), "poison": zero}

    def evaluate(state: Any, batch: Any) -> Any:
        return {"one": jnp.ones(len(batch["label"])), "label": batch["label"]}

    return Task(init, step, evaluate, lambda step: 0.0)


def test_any_task_runs_however_the_steps_are_cut(
    tiny_data: Dataset, compilations: Callable[[], Counter[str]]
) -> None:
    plan, place = Plan(2, 8, seed=1), placement(8)
    programs = Programs(counting(), tiny_data, plan, place)
    ends = []
    for cuts in ([5], [2, 3], [1, 1, 1, 1, 1]):
        carry, first = programs.start(), 0
        for count in cuts:
            carry = programs.run(carry, first, count)
            first += count
        ends.append(jax.tree.map(np.asarray, carry))
    assert same(ends[0], ends[1])
    assert same(ends[0], ends[2])
    assert ends[0]["state"]["seen"] == tiny_data.train_images.sum()  # 40 images, 5 whole batches
    tested = programs.evaluate(programs.start()["state"])
    assert tested["one"] == 1
    assert np.isclose(tested["label"], tiny_data.test_labels.mean())
    assert (compilations()["_steps"], compilations()["_means"]) == (1, 1)


def test_the_step_is_traced_once(tiny_data: Dataset) -> None:
    task, traced = counting(), []

    def step(state: Any, batch: Any, key: Any) -> Any:
        traced.append(1)
        return task.step(state, batch, key)

    told = dataclasses.replace(task, step=step)
    programs = Programs(told, tiny_data, Plan(3, 8, seed=4), placement(8))
    programs.run(programs.run(programs.start(), 0, 2), 2, 3)
    assert len(traced) == 1


def test_each_program_is_compiled_once_before_it_is_called(
    tiny_data: Dataset, compilations: Callable[[], Counter[str]]
) -> None:
    fit(counting(), tiny_data, Plan(3, 8), placement(8))
    ours = ("_start", "_steps", "_means", "_all_numbers")
    assert {name: compilations()[name] for name in ours} == dict.fromkeys(ours, 1)


def test_the_evaluation_is_traced_once_however_many_epochs_are_not_tested(
    tiny_data: Dataset,
) -> None:
    task, traced = counting(), []

    def evaluate(state: Any, batch: Any) -> Any:
        traced.append(1)
        return task.evaluate(state, batch)

    told = dataclasses.replace(task, evaluate=evaluate)
    fitted = fit(told, tiny_data, Plan(6, 8, eval_every=3), placement(8))
    assert sum(line["test_one"] is None for line in fitted.history) == 4
    assert len(traced) == 1


def test_a_run_that_goes_on_makes_no_start(tiny_data: Dataset, tmp_path: Path) -> None:
    def run(task: Task) -> Any:
        checkpoints = Checkpoints(tmp_path / "checkpoints", tell=print)
        try:
            return fit(task, tiny_data, Plan(2, 8), placement(8), checkpoints)
        finally:
            checkpoints.close()

    task, made = counting(), []

    def init(key: Any) -> Any:
        jax.debug.callback(lambda: made.append(1))
        return task.init(key)

    told = dataclasses.replace(task, init=init)
    whole = run(told)
    assert made == [1]
    assert same(run(told).state, whole.state)
    assert made == [1]


def test_a_loss_that_is_no_number_stops_with_the_step_and_its_key(tiny_data: Dataset) -> None:
    task, seen = counting(), {}

    def step(state: Any, batch: Any, key: Any) -> Any:
        jax.debug.callback(
            lambda raw, images: seen.update({tuple(raw.tolist()): images}),
            jax.random.key_data(key),
            batch["image"],
        )
        return task.step(state, batch, key)

    poisoned = dataclasses.replace(
        task, step=step, init=lambda key: {**task.init(key), "poison": jnp.array(1)}
    )
    images = len(tiny_data.train_images)
    told = (
        r"loss .* at step 7 \(epoch 2, seed 3; in solutions.training.* batch_key\(3, 7\), "
        rf".* batch_rows\(3, 7, 8, {images}\)\)\. Try a smaller learning rate"
    )
    with pytest.raises(NotANumber, match=told):
        fit(poisoned, tiny_data, Plan(4, 8, seed=3), placement(8))
    key = tuple(jax.random.key_data(batch_key(3, 7)).tolist())
    rows = np.asarray(batch_rows(3, 7, 8, images))
    assert np.array_equal(seen[key], tiny_data.train_images[rows])


def test_its_seconds_begin_before_anything_is_compiled(tiny_data: Dataset) -> None:
    task = counting()

    def slow(key: Any) -> Any:
        time.sleep(0.5)  # while it is traced
        return task.init(key)

    done = fit(dataclasses.replace(task, init=slow), tiny_data, Plan(1, 8), placement(8))
    assert done.history[0]["seconds"] > 0.5


class Lines(Silent):
    """Keeps the lines of the metrics."""

    def __init__(self) -> None:
        self.kept: list[Any] = []

    def on_epoch(self, line: Any) -> None:
        self.kept.append(line)


@pytest.mark.parametrize("value", [jnp.nan, jnp.inf])
def test_a_test_loss_that_is_no_number_stops_before_its_line(
    value: float, tiny_data: Dataset
) -> None:
    task, lines = counting(), Lines()

    def evaluate(state: Any, batch: Any) -> Any:
        late = jnp.where(state["step"] > 5, value, 1.0)
        return {"loss": jnp.full(len(batch["label"]), late)}

    told = r"test_loss is no longer a number: at step 9 \(epoch 2, seed 3; .*smaller learning rate"
    with pytest.raises(NotANumber, match=told):
        fit(
            dataclasses.replace(task, evaluate=evaluate),
            tiny_data,
            Plan(3, 8, seed=3),
            placement(8),
            watch=lines,
        )
    assert [line["epoch"] for line in lines.kept] == [1]


def test_parameters_that_are_no_numbers_are_not_saved(tiny_data: Dataset, tmp_path: Path) -> None:
    task = counting()

    def step(state: Any, batch: Any, key: Any) -> Any:
        new, metrics = task.step(state, batch, key)
        overflowing = jnp.where(state["step"] == 9, jnp.inf, new["drawn"])
        return {**new, "drawn": overflowing}, metrics

    overflows = dataclasses.replace(task, step=step)
    checkpoints = Checkpoints(tmp_path / "checkpoints", tell=print)
    with pytest.raises(NotANumber, match=r"a parameter, .* at step 9 \(epoch 2, seed 0; "):
        fit(overflows, tiny_data, Plan(2, 8), placement(8), checkpoints)
    checkpoints.close()
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["5"]


def test_every_epoch_has_a_line_tested_or_not(tiny_data: Dataset) -> None:
    fitted = fit(counting(), tiny_data, Plan(5, 8, eval_every=2), placement(8))
    assert [line["epoch"] for line in fitted.history] == [1, 2, 3, 4, 5]
    assert [line["test_one"] for line in fitted.history] == [None, 1, None, 1, 1]
    assert all(line["train_loss"] == 1 for line in fitted.history)
    assert all(line["images_per_second"] > 0 for line in fitted.history)
    assert figures.curves(fitted.history).startswith(b"\x89PNG")


def test_a_real_task_is_compiled_once_though_cut_and_resumed(
    recipe: Recipe,
    tiny_data: Dataset,
    tmp_path: Path,
    compilations: Callable[[], Counter[str]],
) -> None:
    model = build(recipe, tiny_data.image_shape, 2)
    task = classification(recipe, model, tiny_data.statistics, 15)
    programs = Programs(task, tiny_data, Plan(3, 8, seed=4), placement(8))
    checkpoints = Checkpoints(tmp_path / "checkpoints", tell=print)
    carry = programs.start()
    for first, count in ((0, 2), (2, 3), (5, 5)):
        carry = programs.run(carry, first, count)
        programs.evaluate(carry["state"])
    checkpoints.save(10, carry, (), 0.0)
    checkpoints.wait()
    saved = checkpoints.newest(programs.start())
    checkpoints.close()
    assert saved is not None
    programs.evaluate(programs.run(saved.carry, 10, 5)["state"])
    assert (compilations()["_steps"], compilations()["_means"]) == (1, 1)

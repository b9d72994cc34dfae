"""The loop: one compiled program that runs any number of steps of an epoch, and what surrounds it.

The images lie on the device as uint8.  One call of the program runs ``count`` steps without
coming back to Python: it shuffles the epoch, and in each step takes its rows, makes its key, and
calls the task's step.  ``count`` is an argument, so the program is compiled once: on a fast
device a call runs a whole epoch, on a slow one a few steps, so that the progress bar moves and
Ctrl-C is heard.  (That makes it a ``lax.fori_loop`` in place of a ``lax.scan``: a scan has its
length compiled in.  The two cost the same.)

All randomness is a function of the seed and the number of the step, and all that is carried from
step to step is in `Carry`.  So a run that was killed and resumed makes the same steps, bit for
bit, as one that was not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from solutions.training.checkpoints import Checkpoints
from solutions.training.data import Dataset
from solutions.training.devices import Placement
from solutions.training.recipe import BadRecipe
from solutions.training.step import Task

Carry = dict[str, Any]
"""``state`` of the task; ``sums`` of its metrics over the epoch; ``bad``, the first step whose
loss was no number, or -1."""

_SECONDS_PER_CALL = 2.0
_POLL_SECONDS = 0.005


class NotANumber(ArithmeticError):
    """The loss is NaN or infinite; the message says at which step, and what to try."""


@dataclass(frozen=True)
class Plan:
    """How long, and from which seed.

    Attributes:
      epochs: how often every training image is seen.
      batch_size: images a step; what does not fill a batch is left out, another part each epoch.
      seed: of the parameters and of all that is random afterwards.
      eval_every: epochs between two looks at the test images; the last epoch has one always.
      checkpoint_every: epochs between two checkpoints; there is one at the end always.

    """

    epochs: int
    batch_size: int
    seed: int = 0
    eval_every: int = 1
    checkpoint_every: int = 1

    def steps_per_epoch(self, images: int) -> int:
        """Whole batches in ``images``.

        Raises:
          BadRecipe: there is not even one.

        """
        if images < self.batch_size:
            raise BadRecipe(
                f"batch_size is {self.batch_size}, but there are only {images} images to train on"
            )
        return images // self.batch_size


@dataclass(frozen=True)
class Progress:
    """Where the run stands after a call: the means of the epoch so far."""

    step: int
    total_steps: int
    epoch: int
    metrics: dict[str, float]
    images_per_second: float
    learning_rate: float


class Watch(Protocol):
    """Whoever looks on.  Called between two calls of the program, never inside."""

    def on_start(self, step: int, total_steps: int, history: Sequence[dict[str, float]]) -> None:
        """Before the first step; ``step`` and ``history`` are those of the checkpoint, if any."""

    def on_progress(self, progress: Progress) -> None:
        """After every call."""

    def on_epoch(self, line: dict[str, float]) -> None:
        """After every epoch that was tested, with its line of ``metrics.jsonl``."""

    def stop_asked(self) -> bool:
        """Whether to save and stop now."""


class Silent:
    """Nobody looks on."""

    def on_start(self, step: int, total_steps: int, history: Sequence[dict[str, float]]) -> None:
        """Nothing."""

    def on_progress(self, progress: Progress) -> None:
        """Nothing."""

    def on_epoch(self, line: dict[str, float]) -> None:
        """Nothing."""

    def stop_asked(self) -> bool:
        """Never."""
        return False


@dataclass(frozen=True)
class Fitted:
    """What came out.

    Attributes:
      state: the task's state after the last step.
      history: one line for each epoch that was tested: step, epoch, train_loss, test_loss,
        test_accuracy, images_per_second, learning_rate, seconds.
      step: how many steps were made in all.
      finished: False when it was asked to stop before the end.

    """

    state: Any
    history: tuple[dict[str, float], ...]
    step: int
    finished: bool


class Programs:
    """The three compiled programs of a run: start, steps, test."""

    def __init__(self, task: Task, data: Dataset, plan: Plan, place: Placement) -> None:
        self._task, self._plan, self._place = task, plan, place
        self.steps_per_epoch = plan.steps_per_epoch(len(data.train_images))
        self._train = {
            "image": place.everywhere(data.train_images),
            "label": place.everywhere(data.train_labels.astype(np.int32)),
        }
        self._test = _in_batches(data, plan.batch_size, place)
        root = jax.random.key(plan.seed)
        self._init_key, self._order_key, self._step_key = jax.random.split(root, 3)
        shapes = jax.eval_shape(self._start, self._init_key)
        self._where = place.of_state(shapes)
        self._run = jax.jit(self._steps, donate_argnums=0, out_shardings=self._where)
        self._evaluate = jax.jit(self._means, out_shardings=place.replicated)

    def start(self) -> Carry:
        """The carry before the first step."""
        return jax.jit(self._start, out_shardings=self._where)(self._init_key)

    def run(self, carry: Carry, first: int, count: int) -> Carry:
        """``count`` steps from step ``first``, all in one epoch.  ``carry`` is used up."""
        return self._run(carry, self._train, np.int32(first), np.int32(count))

    def evaluate(self, state: Any) -> dict[str, jax.Array]:
        """The means over the test images."""
        return self._evaluate(state, self._test)

    def compiled(self) -> int:
        """How many versions of the two programs exist: 2 however long the run."""
        return self._run._cache_size() + self._evaluate._cache_size()

    def _start(self, key: jax.Array) -> Carry:
        state = self._task.init(key)
        images = self._train["image"]
        batch = {
            "image": jax.ShapeDtypeStruct((self._plan.batch_size, *images.shape[1:]), jnp.uint8),
            "label": jax.ShapeDtypeStruct((self._plan.batch_size,), jnp.int32),
        }
        _, metrics = jax.eval_shape(self._task.step, state, batch, key)
        sums = {name: jnp.zeros((), jnp.float32) for name in metrics}
        return {"state": state, "sums": sums, "bad": jnp.full((), -1, jnp.int32)}

    def _steps(self, carry: Carry, train: dict[str, jax.Array], first: Any, count: Any) -> Carry:
        per_epoch, size = self.steps_per_epoch, self._plan.batch_size
        epoch_key = jax.random.fold_in(self._order_key, first // per_epoch)
        order = jax.random.permutation(epoch_key, len(train["label"]))
        begins = first % per_epoch == 0
        sums = jax.tree.map(lambda value: jnp.where(begins, 0, value), carry["sums"])

        def one(i: Any, carry: Carry) -> Carry:
            step = first + i
            rows = lax.dynamic_slice(order, ((step % per_epoch) * size,), (size,))
            batch = {name: values[rows] for name, values in train.items()}
            batch = lax.with_sharding_constraint(batch, self._place.by_row)
            key = jax.random.fold_in(self._step_key, step)
            state, metrics = self._task.step(carry["state"], batch, key)
            sums = jax.tree.map(lambda total, x: total + x, carry["sums"], metrics)
            is_bad = ~jnp.isfinite(metrics["loss"]) & (carry["bad"] < 0)
            return {"state": state, "sums": sums, "bad": jnp.where(is_bad, step, carry["bad"])}

        return lax.fori_loop(0, count, one, {**carry, "sums": sums})

    def _means(self, state: Any, test: dict[str, jax.Array]) -> dict[str, jax.Array]:
        def one(batch: dict[str, jax.Array]) -> dict[str, jax.Array]:
            batch = lax.with_sharding_constraint(batch, self._place.by_row)
            values = self._task.evaluate(state, batch)
            return {name: (value * batch["real"]).sum() for name, value in values.items()}

        sums = lax.map(one, test)
        return {name: values.sum() / test["real"].sum() for name, values in sums.items()}


def _in_batches(data: Dataset, size: int, place: Placement) -> dict[str, jax.Array]:
    """The test images as (batches, B, …), filled up with images that do not count."""
    count = len(data.test_labels)
    batches = -(-count // size)

    def fill(values: np.ndarray) -> jax.Array:
        space = [(0, batches * size - count)] + [(0, 0)] * (values.ndim - 1)
        return place.everywhere(np.pad(values, space).reshape(batches, size, *values.shape[1:]))

    return {
        "image": fill(data.test_images),
        "label": fill(data.test_labels.astype(np.int32)),
        "real": fill(np.ones(count, np.float32)),
    }


def fit(
    task: Task,
    data: Dataset,
    plan: Plan,
    place: Placement,
    checkpoints: Checkpoints | None = None,
    watch: Watch | None = None,
) -> Fitted:
    """Run ``task`` on ``data`` to the end of ``plan``, or from its last checkpoint.

    Args:
      task: what to repeat.
      data: images and labels.
      plan: how long, and the seed.
      place: the devices.
      checkpoints: where to save and to resume from; None saves nothing.
      watch: who looks on.

    Raises:
      NotANumber: the loss is NaN or infinite.
      CannotSave: a checkpoint cannot be written, e.g. because the disk is full.

    """
    return _Run(Programs(task, data, plan, place), task, plan, checkpoints, watch or Silent()).go()


class _Run:
    """One run in progress."""

    def __init__(
        self,
        programs: Programs,
        task: Task,
        plan: Plan,
        checkpoints: Checkpoints | None,
        watch: Watch,
    ) -> None:
        self._programs, self._task, self._plan = programs, task, plan
        self._checkpoints, self._watch = checkpoints, watch
        self._per_epoch = programs.steps_per_epoch
        self._total = self._per_epoch * plan.epochs
        self._pace = _Pace(self._per_epoch)
        self._history: list[dict[str, float]] = []
        self._seconds = 0.0

    def go(self) -> Fitted:
        """Steps, tests and checkpoints in turn."""
        carry, step = self._programs.start(), 0
        if self._checkpoints is not None:
            saved = self._checkpoints.newest(carry)
            if saved is not None:
                carry, step = saved.carry, saved.step
                self._history, self._seconds = list(saved.history), saved.seconds
        self._watch.on_start(step, self._total, self._history)
        while step < self._total:
            began = time.perf_counter()
            count = self._pace.steps(self._per_epoch - step % self._per_epoch)
            carry = self._programs.run(carry, step, count)
            _wait(carry["bad"])
            step += count
            self._pace.took(count, time.perf_counter() - began)
            self._look(carry, step)
            epoch = step // self._per_epoch
            ended = step % self._per_epoch == 0
            last = step == self._total
            if ended and (last or epoch % self._plan.eval_every == 0):
                self._test(carry, step, began)
            else:
                self._seconds += time.perf_counter() - began
            asked = self._watch.stop_asked()
            if asked or last or (ended and epoch % self._plan.checkpoint_every == 0):
                self._save(carry, step)
            if asked:
                break
        if self._checkpoints is not None:
            self._checkpoints.wait()
        return Fitted(carry["state"], tuple(self._history), step, step == self._total)

    def _look(self, carry: Carry, step: int) -> None:
        bad = int(carry["bad"])
        if bad >= 0:
            raise NotANumber(
                f"the loss is no longer a number: at step {bad} (epoch {bad // self._per_epoch + 1}"
                f", seed {self._plan.seed}, batch seed fold_in({self._plan.seed}, {bad})). Try a "
                "smaller base_lr, a longer warmup or a smaller max_norm"
            )
        done = (step - 1) % self._per_epoch + 1
        metrics = {name: float(value) / done for name, value in carry["sums"].items()}
        self._progress = Progress(
            step,
            self._total,
            (step - 1) // self._per_epoch + 1,
            metrics,
            self._pace.steps_per_second * self._plan.batch_size,
            float(self._task.learning_rate(step - 1)),
        )
        self._watch.on_progress(self._progress)

    def _test(self, carry: Carry, step: int, began: float) -> None:
        tested = self._programs.evaluate(carry["state"])
        _wait(*tested.values())
        self._seconds += time.perf_counter() - began
        told = self._progress
        line = {
            "step": step,
            "epoch": told.epoch,
            **{f"train_{name}": value for name, value in told.metrics.items()},
            **{f"test_{name}": float(value) for name, value in tested.items()},
            "images_per_second": told.images_per_second,
            "learning_rate": told.learning_rate,
            "seconds": self._seconds,
        }
        self._history.append(line)
        self._watch.on_epoch(line)

    def _save(self, carry: Carry, step: int) -> None:
        if self._checkpoints is not None:
            self._checkpoints.save(step, carry, tuple(self._history), self._seconds)


class _Pace:
    """How many steps a call should make, so that one takes about two seconds.

    With several processes a call is an epoch: they must all make the same calls.
    """

    def __init__(self, per_epoch: int) -> None:
        self._per_epoch = per_epoch
        self._compiled = False
        self.steps_per_second = 0.0

    def steps(self, left: int) -> int:
        """At most ``left``, what remains of the epoch."""
        if jax.process_count() > 1:
            return left
        if not self.steps_per_second:
            return 1
        return min(left, max(1, math.floor(self.steps_per_second * _SECONDS_PER_CALL)))

    def took(self, count: int, seconds: float) -> None:
        """Learn from a call; not from the first, which compiled."""
        if self._compiled:
            self.steps_per_second = count / max(seconds, 1e-9)
        self._compiled = True


def _wait(*arrays: jax.Array) -> None:
    """Until the device has them, in Python, where a signal's handler can run meanwhile."""
    while not all(array.is_ready() for array in arrays):
        time.sleep(_POLL_SECONDS)


def batch_key(seed: int, step: int) -> jax.Array:
    """The key of one step of a run: what its augmentation and its stochastic depth came from."""
    _, _, step_key = jax.random.split(jax.random.key(seed), 3)
    return jax.random.fold_in(step_key, step)


__all__ = ["Fitted", "NotANumber", "Plan", "Programs", "Progress", "Silent", "Watch", "fit"]

"""The loop around the compiled programs: steps, tests and checkpoints in turn, and who looks on.

Between two calls of the program everything that a person notices happens: the progress is told, a
signal is heard, a line of the metrics is written, a checkpoint begun.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from solutions.training.checkpoints import Checkpoints
from solutions.training.data import Dataset
from solutions.training.devices import Placement, computing_on_host
from solutions.training.memory import memory_told
from solutions.training.onlooker import Line, Progress, Silent, Together, Watch
from solutions.training.programs import Carry, Plan, Programs
from solutions.training.step import Task

_SECONDS_PER_CALL = 2.0
_POLL_SECONDS = 0.005


class NotANumber(ArithmeticError):
    """A loss or a parameter is NaN or infinite; the message says where, and what to try."""


@dataclass(frozen=True)
class Fitted:
    """What came out.

    Attributes:
      state: the task's state after the last step.
      history: one line for each epoch: step, epoch, images_per_second, learning_rate, seconds, and
        the task's metrics, which for a classifier are train_loss, train_accuracy, test_loss and
        test_accuracy.  What begins with ``test_`` is None where the plan does not test; the last
        epoch is tested always.
      step: how many steps were made in all.
      finished: False when it was asked to stop before the end.

    """

    state: Any
    history: tuple[Line, ...]
    step: int
    finished: bool


def fit(
    task: Task,
    data: Dataset,
    plan: Plan,
    place: Placement,
    checkpoints: Checkpoints | None = None,
    watch: Watch | None = None,
) -> Fitted:
    """Run ``task`` on ``data`` to the end of ``plan``, or from its last checkpoint, in float32.

    Args:
      task: what to repeat.
      data: images and labels.
      plan: how long, and the seed.
      place: the devices.
      checkpoints: where to save and to resume from; None saves nothing.
      watch: who looks on.

    Raises:
      BadRecipe: there is not one batch of images, or a step changes the structure of its state.
      NotANumber: a loss or a parameter is NaN or infinite.
      CannotSave: a checkpoint cannot be written, e.g. because the disk is full.
      NoRoom: images, parameters or a step do not fit into memory.

    """
    # Whoever has turned float64 on gets the same numbers.
    began = time.perf_counter()
    with memory_told(), jax.enable_x64(False):
        programs = Programs(task, data, plan, place)
        return _Run(programs, task, plan, checkpoints, watch or Silent(), began).go()


class _Run:
    """One run in progress."""

    def __init__(
        self,
        programs: Programs,
        task: Task,
        plan: Plan,
        checkpoints: Checkpoints | None,
        watch: Watch,
        began: float,
    ) -> None:
        self._programs, self._task, self._plan = programs, task, plan
        self._checkpoints, self._watch = checkpoints, Together(watch)
        self._per_epoch = programs.steps_per_epoch
        self._total = self._per_epoch * plan.epochs
        self._pace = _Pace(self._per_epoch)
        self._history: list[Line] = []
        self._began = began
        self._seconds_before = 0.0

    def go(self) -> Fitted:
        """Steps, tests and checkpoints in turn."""
        saved = self._checkpoints.newest(self._programs.carry) if self._checkpoints else None
        if saved is None:
            carry, step = self._programs.start(), 0
        else:
            carry, step = saved.carry, saved.step
            self._history, self._seconds_before = list(saved.history), saved.seconds
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
            if ended:
                self._check(carry, step)
                tested = self._test(carry) if last or epoch % self._plan.eval_every == 0 else None
                self._write(self._line(tested or dict.fromkeys(self._programs.tested)))
            asked = self._watch.stop_asked()
            if asked and not ended:
                self._check(carry, step)
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
            raise NotANumber(self._explained("the loss is no longer a number", bad))
        done = (step - 1) % self._per_epoch + 1
        metrics = {name: float(value) / done for name, value in carry["sums"].items()}
        with computing_on_host():
            learning_rate = float(self._task.learning_rate(jnp.int32(step - 1)))
        self._progress = Progress(
            step,
            self._total,
            (step - 1) // self._per_epoch + 1,
            metrics,
            self._pace.steps_per_second * self._plan.batch_size,
            learning_rate,
        )
        self._watch.on_progress(self._progress)

    def _check(self, carry: Carry, step: int) -> None:
        """Nothing is tested, saved or returned from which no loss can come but NaN.

        The loss of a step is that of the parameters before it, so what the last step did shows
        in the parameters alone.
        """
        fine = self._programs.all_numbers(carry["state"])
        _wait(fine)
        if not bool(fine):
            what = "a parameter, or what the optimiser keeps, is no longer a number"
            raise NotANumber(self._explained(what, step - 1))

    def _explained(self, what: str, step: int) -> str:
        seed, size, images = self._plan.seed, self._plan.batch_size, self._programs.images
        return (
            f"{what}: at step {step} (epoch {step // self._per_epoch + 1}, seed {seed}; in "
            f"solutions.training.programs the key of the batch is batch_key({seed}, {step}), its "
            f"images are batch_rows({seed}, {step}, {size}, {images})). Try a smaller learning "
            "rate, a longer warmup or a smaller max_norm"
        )

    def _test(self, carry: Carry) -> dict[str, float]:
        tested = self._programs.evaluate(carry["state"])
        _wait(*tested.values())
        return {name: float(value) for name, value in tested.items()}

    def _line(self, tested: Mapping[str, float | None]) -> Line:
        told = self._progress
        line = {
            "step": told.step,
            "epoch": told.epoch,
            **{f"train_{name}": value for name, value in told.metrics.items()},
            **{f"test_{name}": value for name, value in tested.items()},
            "images_per_second": self._pace.of_epoch() * self._plan.batch_size,
            "learning_rate": told.learning_rate,
            "seconds": self._seconds(),
        }
        for name, value in line.items():
            if value is not None and not math.isfinite(value):
                what = f"{name} is no longer a number"
                raise NotANumber(self._explained(what, told.step - 1))
        return line

    def _write(self, line: Line) -> None:
        self._history.append(line)
        self._watch.on_epoch(line)

    def _save(self, carry: Carry, step: int) -> None:
        if self._checkpoints is not None:
            self._checkpoints.save(step, carry, tuple(self._history), self._seconds())

    def _seconds(self) -> float:
        """Since the run began, compiling, testing and saving included, but for pauses."""
        return self._seconds_before + time.perf_counter() - self._began


class _Pace:
    """How many steps a call should make, so that one takes about two seconds.

    With several processes a call is an epoch: they must all make the same calls.
    """

    def __init__(self, per_epoch: int) -> None:
        self._per_epoch = per_epoch
        self._compiling: tuple[int, float] | None = None
        self._calls: list[tuple[int, float]] = []
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
        if self._compiling is None:
            self._compiling = (count, seconds)
        else:
            self.steps_per_second = count / max(seconds, 1e-9)
            self._calls.append((count, seconds))

    def of_epoch(self) -> float:
        """Steps per second of an epoch that ends now.

        The call that compiled counts only where the epoch had no other.
        """
        calls, self._calls = self._calls or [self._compiling or (0, 1.0)], []
        return sum(count for count, _ in calls) / max(sum(took for _, took in calls), 1e-9)


def _wait(*arrays: jax.Array) -> None:
    """Until the device has them, in Python, where a signal's handler can run meanwhile."""
    while not all(array.is_ready() for array in arrays):
        time.sleep(_POLL_SECONDS)


__all__ = ["Fitted", "Line", "NotANumber", "Plan", "Progress", "Silent", "Watch", "fit"]

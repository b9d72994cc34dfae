"""The compiled programs of a run: the start, any number of steps of an epoch, the test.

The images lie on the device as uint8.  One call of the program runs ``count`` steps without
coming back to Python: it shuffles the epoch, and in each step takes its rows, makes its key, and
calls the task's step.  ``count`` is an argument, so the program is compiled once: on a fast
device a call runs a whole epoch, on a slow one a few steps, so that the progress bar moves and
Ctrl-C is heard.  (That makes it a ``lax.fori_loop`` in place of a ``lax.scan``, which has its
length compiled in.  On a CPU both were equally fast: 178 to 181 images/s of the benchmark's ViT.)

All randomness is a function of the seed and the number of the step, and all that is carried from
step to step is in `Carry`.  So on one device a run that was killed and resumed makes the same
steps, bit for bit, as one that was not.  (Not on a GPU, where XLA chooses some kernels by
timing them and adds up in any order.  With --xla_gpu_deterministic_ops=true in XLA_FLAGS, which
forbids that, `cifar10` stopped with an exception on an H200, jax 0.11.2; why was not found out.)
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.stages import Compiled, Lowered

from solutions.training.data import Dataset
from solutions.training.devices import (
    Placement,
    compiler_options,
    computing_on_host,
    in_all_processes,
)
from solutions.training.memory import fitting
from solutions.training.recipe import BadRecipe
from solutions.training.step import Task

Carry = dict[str, Any]
"""``state`` of the task; ``sums`` of its metrics over the epoch; ``bad``, the first step whose
loss was no number, or -1."""


@dataclass(frozen=True)
class Plan:
    """How long, and from which seed.

    Attributes:
      epochs: how often every training image is seen.
      batch_size: images a step; what does not fill a batch is left out, another part each epoch.
      seed: of the parameters and of all that is random afterwards.
      eval_every: epochs between two looks at the test images; the last epoch has one always.
      checkpoint_every: epochs between two checkpoints; there is one at the end always.

    Raises:
      BadRecipe: the seed is none of 0 to 2³² - 1.

    """

    epochs: int
    batch_size: int
    seed: int = 0
    eval_every: int = 1
    checkpoint_every: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.seed, Integral):
            raise BadRecipe(f"seed is {self.seed!r}; it must be an integer")
        if not 0 <= self.seed < 2**32:
            raise BadRecipe(f"seed is {self.seed}; it must be from 0 to {2**32 - 1}")

    def steps_per_epoch(self, images: int) -> int:
        """Whole batches in ``images``.

        Raises:
          BadRecipe: there is not even one.

        """
        if images < self.batch_size:
            raise BadRecipe(
                f"batch_size is {self.batch_size}, but there are only {images} images to train on; "
                f"for a smaller one: --set batch_size={max(1, images // 4)}"
            )
        return images // self.batch_size

    def total_steps(self, images: int) -> int:
        """Of the whole run.

        Raises:
          BadRecipe: there is not even one batch.

        """
        return self.steps_per_epoch(images) * self.epochs


class Programs:
    """The compiled programs of a run: start, steps, test, and a look at the state.

    Attributes:
      images: how many there are to train on.
      steps_per_epoch: how many whole batches an epoch has.
      carry: shapes and shardings of what the steps carry.
      tested: the names of what `evaluate` gives.

    """

    def __init__(self, task: Task, data: Dataset, plan: Plan, place: Placement) -> None:
        self._task, self._plan, self._place = task, plan, place
        self._step = jax.jit(task.step, inline=True)
        self.images = len(data.train_images)
        self.steps_per_epoch = plan.steps_per_epoch(self.images)
        self._train = {
            "image": place.everywhere(data.train_images),
            "label": place.everywhere(data.train_labels.astype(np.int32)),
        }
        self._test = _in_batches(data, plan.batch_size, place)
        with computing_on_host():
            root = jax.random.key(plan.seed)
            self._init_key, self._order_key, self._step_key = jax.random.split(root, 3)
        self._metrics = self._names_of_metrics()
        shapes = jax.eval_shape(self._start, self._init_key)
        self._where = place.of_state(shapes)
        self._init = jax.jit(self._start)
        options = compiler_options()
        self._run = jax.jit(
            self._steps, donate_argnums=0, out_shardings=self._where, compiler_options=options
        )
        self._evaluate = jax.jit(
            self._means, out_shardings=place.replicated, compiler_options=options
        )
        self._all_numbers = jax.jit(_all_numbers, out_shardings=place.replicated)
        self.carry: Carry = jax.tree.map(_placed, shapes, self._where)
        self.tested = self._compile_ahead(self.carry)

    def start(self) -> Carry:
        """The carry before the first step."""
        self._await("init")
        with computing_on_host():
            carry = self._init(self._init_key)
        return jax.device_put(carry, self._where)

    def run(self, carry: Carry, first: int, count: int) -> Carry:
        """``count`` steps from step ``first``, all in one epoch.  ``carry`` is used up."""
        self._await("run")
        return self._run(carry, self._train, np.int32(first), np.int32(count))

    def evaluate(self, state: Any) -> dict[str, jax.Array]:
        """The means over the test images."""
        self._await("evaluate")
        return self._evaluate(state, self._test)

    def all_numbers(self, state: Any) -> jax.Array:
        """Whether nothing in the state is NaN or infinite, ()."""
        self._await("all_numbers")
        return self._all_numbers(state)

    def _await(self, name: str) -> None:
        """Before the first call of a program, until it is compiled and known to fit into memory."""
        if name in self._being_compiled:
            in_all_processes(self._being_compiled.pop(name).result)

    def _compile_ahead(self, carry: Carry) -> tuple[str, ...]:
        """Compiles the programs side by side, beginning with the two that are needed first.

        Returns the names of what the test gives, as whoever traces it learns them.

        JAX keeps what it compiled with the program, so that the calls above find it.  Several
        processes compile in one order, as on GPUs they wait for what the others measured.
        """
        count = np.int32(0)
        with computing_on_host():
            init = self._init.lower(self._init_key)
        run = self._run.lower(carry, self._train, count, count)
        evaluate = self._evaluate.lower(carry["state"], self._test)
        all_numbers = self._all_numbers.lower(carry["state"])
        pool = ThreadPoolExecutor(2 if jax.process_count() == 1 else 1, "compiling")
        self._being_compiled: dict[str, Future[Compiled]] = {
            "run": pool.submit(_compiled, run, "a step of training"),
            "init": pool.submit(_compiled, init, "the start, parameters and optimiser,"),
            "evaluate": pool.submit(_compiled, evaluate, "the test"),
            "all_numbers": pool.submit(_compiled, all_numbers, "a look at the parameters"),
        }
        pool.shutdown(wait=False)
        return tuple(evaluate.out_info)

    def _start(self, key: jax.Array) -> Carry:
        sums = {name: jnp.zeros((), jnp.float32) for name in self._metrics}
        bad = jnp.full((), -1, jnp.int32)
        return {"state": self._task.init(key), "sums": sums, "bad": bad}

    def _names_of_metrics(self) -> tuple[str, ...]:
        """Traces the step as the program of the steps does, which then need not trace it again.

        Raises:
          BadRecipe: the state after it is of another kind than before.

        """

        def here(shape: Any) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct(shape.shape, shape.dtype, sharding=self._place.replicated)

        size = self._plan.batch_size
        batch = {
            name: jax.ShapeDtypeStruct((size, *values.shape[1:]), values.dtype)
            for name, values in self._train.items()
        }
        state = jax.eval_shape(self._task.init, self._init_key)
        state, batch = jax.tree.map(here, (state, batch))
        after, metrics = jax.eval_shape(self._step, state, batch, self._step_key)
        _check_unchanged(state, after)
        return tuple(metrics)

    def _steps(self, carry: Carry, train: dict[str, jax.Array], first: Any, count: Any) -> Carry:
        per_epoch, size = self.steps_per_epoch, self._plan.batch_size
        order = _order(self._order_key, first // per_epoch, len(train["label"]))
        begins = first % per_epoch == 0
        sums = jax.tree.map(lambda value: jnp.where(begins, 0, value), carry["sums"])

        def one(i: Any, carry: Carry) -> Carry:
            step = first + i
            rows = lax.dynamic_slice(order, ((step % per_epoch) * size,), (size,))
            batch = {name: values[rows] for name, values in train.items()}
            batch = lax.with_sharding_constraint(batch, self._place.by_row)
            key = jax.random.fold_in(self._step_key, step)
            state, metrics = self._step(carry["state"], batch, key)
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


def _compiled(program: Lowered, what: str) -> Compiled:
    return fitting(program.compile(), what)


def _placed(leaf: Any, where: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=where)


def _all_numbers(state: Any) -> jax.Array:
    finite = [
        jnp.isfinite(leaf).all()
        for leaf in jax.tree.leaves(state)
        if jnp.issubdtype(leaf.dtype, jnp.inexact)
    ]
    return jnp.array(finite, bool).all()


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


def batch_key(seed: int, step: int) -> jax.Array:
    """The key of one step of a run: what its augmentation and its stochastic depth came from."""
    _, _, step_key = jax.random.split(jax.random.key(seed), 3)
    return jax.random.fold_in(step_key, step)


def batch_rows(seed: int, step: int, batch_size: int, images: int) -> jax.Array:
    """Which of so many images to train on one step of a run took: (batch_size,) numbers."""
    _, order_key, _ = jax.random.split(jax.random.key(seed), 3)
    epoch, place = divmod(step, images // batch_size)
    return _order(order_key, epoch, images)[place * batch_size :][:batch_size]


def _order(key: jax.Array, epoch: Any, images: int) -> jax.Array:
    """The order in which an epoch takes the images."""
    return jax.random.permutation(jax.random.fold_in(key, epoch), images)


def _check_unchanged(before: Any, after: Any) -> None:
    """The steps are a loop in one program, so each has to leave what the next one takes."""
    if jax.tree.structure(before) != jax.tree.structure(after):
        raise BadRecipe("a step returns a state of another structure than it was given")
    old, new = (jax.tree_util.tree_leaves_with_path(state) for state in (before, after))
    for (path, was), (_, is_) in zip(old, new, strict=True):
        if (was.shape, was.dtype) != (is_.shape, is_.dtype):
            name = jax.tree_util.keystr(path, simple=True, separator=".")
            raise BadRecipe(
                f"a step makes {is_.dtype} {is_.shape} of {name}, which is {was.dtype} "
                f"{was.shape}; in training it has to stay of one type and shape"
            )

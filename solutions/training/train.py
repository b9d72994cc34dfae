"""``train``: from a recipe to a trained model, in a notebook or from the command line."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import jax

from solutions.training import data as data_module
from solutions.training.checkpoints import Checkpoints
from solutions.training.data import BadData, Dataset
from solutions.training.devices import Placement, check_same, in_all_processes, placement
from solutions.training.loop import Line, Plan, Watch, fit
from solutions.training.models import Model, build, grid_of
from solutions.training.recipe import BadRecipe, Recipe
from solutions.training.step import best_params, classification


@dataclass(frozen=True)
class Trained:
    """What `train` returns.

    Attributes:
      recipe: as it was asked for.
      history: one dict for each epoch, as in ``metrics.jsonl``; see `Fitted`.
      state: the final state: ``params``, ``opt_state``, ``step`` and, where it is on, ``ema``.
      model: the model, to apply to other images.
      data: what it was trained and tested on.
      step: how many steps were made in all.
      finished: False when it was asked to stop before the end.

    """

    recipe: Recipe
    history: tuple[Line, ...]
    state: Any
    model: Model
    data: Dataset
    step: int
    finished: bool

    def __repr__(self) -> str:
        """A line, where all the arrays would be thousands."""
        done = "finished" if self.finished else "stopped"
        accuracy = self.history[-1]["test_accuracy"] if self.history else None
        told = "" if accuracy is None else f", test accuracy {accuracy:.2%}"
        return f"<Trained {self.recipe.name}: {done} at step {self.step}{told}>"

    @property
    def params(self) -> Any:
        """The parameters to use: their moving average where there is one."""
        return best_params(self.state)


def train(
    recipe: Recipe,
    *,
    seed: int = 0,
    data: Dataset | None = None,
    out: Path | str | None = None,
    watch: Watch | None = None,
    devices: Sequence[jax.Device] | None = None,
    fsdp: bool = False,
    model: Model | None = None,
    step50: ModuleType | None = None,
    whose: str = "",
    tell: Any = print,
) -> Trained:
    """Train what ``recipe`` describes; the same recipe, seed and device give the same result.

    Args:
      recipe: every choice.
      seed: of the parameters, the order of the images and the augmentation.
      data: images, where those that the recipe names are not meant.
      out: a folder for checkpoints; when it holds some of the same run, the run is resumed.
      watch: who looks on, see `Watch`.
      devices: all unless given.
      fsdp: divide parameters and optimiser state among the devices.
      model: in place of the reference, see `mine`.
      step50: a module with the functions of problem 50, in place of the reference's.
      whose: says which functions those two are; a run is not resumed with others.
      tell: gets lines worth telling, e.g. that a damaged checkpoint was skipped.

    Raises:
      BadRecipe, BadData, BadDevices: something does not fit; one line that says what.
      NotANumber: a loss or a parameter is NaN or infinite.
      CannotSave: a checkpoint cannot be written.
      NoRoom: images, parameters or a step do not fit into memory.
      AnotherRun: ``out`` holds the checkpoints of other images, another recipe, seed or functions.
      NoCheckpoint: one that is not proved damaged cannot be read now.

    """
    _check_types(recipe, data)
    if data is None:
        data = in_all_processes(lambda: data_module.load(recipe.data, recipe.image_size))
    settings = dataclasses.asdict(dataclasses.replace(recipe, data=""))
    settings |= {"seed": seed, "fsdp": fsdp, "answers": whose}
    images = data
    check_same(lambda: {**settings, "images": images.digest})
    plan, place = planned(recipe, data, seed, devices, fsdp)
    total_steps = plan.total_steps(len(data.train_images))
    model = model or build(recipe, data.image_shape, len(data.classes))
    task = classification(recipe, model, data.statistics, total_steps, step50)
    checkpoints = None
    if out is not None:
        run = f"{dataclasses.replace(recipe, data=data.digest)} seed={seed}"
        run += f" with {whose}" if whose else ""
        checkpoints = Checkpoints(Path(out) / "checkpoints", recipe.keep, tell, run)
    try:
        fitted = fit(task, data, plan, place, checkpoints, watch)
    finally:
        if checkpoints is not None:
            checkpoints.close()
    return Trained(recipe, fitted.history, fitted.state, model, data, fitted.step, fitted.finished)


def planned(
    recipe: Recipe,
    data: Dataset,
    seed: int = 0,
    devices: Sequence[jax.Device] | None = None,
    fsdp: bool = False,
) -> tuple[Plan, Placement]:
    """How long a recipe is trained on these images, and where; looks whether all that fits.

    Args:
      recipe: says patches, batch and epochs.
      data: the images.
      seed: of the run.
      devices: all unless given.
      fsdp: divide parameters and optimiser state among them.

    Raises:
      BadRecipe: the patches do not fill the images, or there are not two batches to train on.
      BadDevices: the batch cannot be divided among them.

    """
    grid_of(recipe, data.image_shape)
    plan = Plan(recipe.epochs, recipe.batch_size, seed, recipe.eval_every, recipe.checkpoint_every)
    recipe.warmup_steps(plan.total_steps(len(data.train_images)))
    return plan, placement(recipe.batch_size, devices, fsdp)


def _check_types(recipe: Recipe, data: Dataset | None) -> None:
    """Names are easily given where a recipe or a dataset is meant."""
    if not isinstance(recipe, Recipe):
        raise BadRecipe(
            f"recipe is of type {type(recipe).__name__}; it must be a Recipe, such as "
            "solutions.training.named('digits')"
        )
    if data is not None and not isinstance(data, Dataset):
        raise BadData(
            f"data is of type {type(data).__name__}; it must be a Dataset. The name of one, or a "
            "folder, goes into the recipe: Recipe(data='digits')"
        )

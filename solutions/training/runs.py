"""The folder of a run: ``run.json`` (what it is), ``metrics.jsonl``, checkpoints, the report."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from solutions.training.data import Dataset
from solutions.training.recipe import BadRecipe, Recipe

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


class NoRun(LookupError):
    """A folder that holds no run; the message says so."""


@dataclass(frozen=True)
class Run:
    """What ``run.json`` says.

    Attributes:
      folder: where it lies.
      recipe, seed: what is trained, and from where.
      command: as it was typed.
      mine: the problems whose student's answers are trained.
      fsdp: whether the state is divided among devices.
      image_shape, classes, mean, std: of the data, so that images can be classified without it.
      versions: of Python and the packages that decide the numbers.

    """

    folder: Path
    recipe: Recipe
    seed: int
    command: str
    mine: bool
    fsdp: bool
    image_shape: tuple[int, int, int]
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    versions: dict[str, str]

    @property
    def metrics(self) -> Path:
        """A line an epoch."""
        return self.folder / "metrics.jsonl"

    def save(self) -> None:
        """Write ``run.json``."""
        told = {k: v for k, v in dataclasses.asdict(self).items() if k != "folder"}
        self.folder.mkdir(parents=True, exist_ok=True)
        _write(self.folder / "run.json", json.dumps(told, indent=1) + "\n")

    def write_metrics(self, history: Iterable[dict[str, float]]) -> None:
        """Write ``metrics.jsonl`` anew."""
        _write(self.metrics, "".join(json.dumps(line) + "\n" for line in history))


def _write(path: Path, text: str) -> None:
    """All or nothing: a reader never sees half of it."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


def new(
    folder: Path, recipe: Recipe, seed: int, data: Dataset, command: str, mine: bool, fsdp: bool
) -> Run:
    """A run that begins now."""
    mean, std = data.statistics
    versions = {"python": platform.python_version()}
    versions.update({package: metadata.version(package) for package in _PACKAGES})
    shape, classes = data.image_shape, data.classes
    return Run(folder, recipe, seed, command, mine, fsdp, shape, classes, mean, std, versions)


def read(folder: Path) -> Run:
    """The run in a folder.

    Raises:
      NoRun: there is none, or its ``run.json`` is damaged.

    """
    try:
        told: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        recipe = Recipe(**told.pop("recipe"))
        lists = {k: tuple(told.pop(k)) for k in ("image_shape", "classes", "mean", "std")}
        return Run(folder, recipe, **lists, **told)
    except FileNotFoundError:
        raise NoRun(f"{folder} holds no run (no run.json)") from None
    except (OSError, ValueError, TypeError, KeyError, BadRecipe) as error:
        raise NoRun(f"{folder}/run.json cannot be read: {str(error)[:150]}") from None

"""The folder of a run: ``run.json`` (what it is), ``metrics.jsonl``, checkpoints, the report."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import platform
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from solutions.training.data import Dataset
from solutions.training.devices import told
from solutions.training.disk import saving, write_whole
from solutions.training.loop import Line
from solutions.training.one_line import one_line
from solutions.training.recipe import BadRecipe, Recipe

_KINDS = {"seed": int, "command": str, "fsdp": bool, "data_digest": str, "versions": dict}
"""Of what ``run.json`` says beside lists and the recipe."""
ANSWERS = "answers"
"""Where in a run of ``--mine`` the answers lie that it trains, as they were."""
EVENTS = "events"
"""Where TensorBoard's events go."""
_DISTILLATION = "distill.json"
"""Beside a ``run.json`` it says that the folder is a distillation's."""
_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


class NoRun(LookupError):
    """A folder that holds no run; the message says so."""


def lying_in(folder: Path) -> list[str]:
    """What lies in a folder under the names that runs write."""
    names = ("run.json", _DISTILLATION, "study.json", "metrics.jsonl", "report.html")
    names += ("checkpoints", ANSWERS, EVENTS)
    there = [folder / name for name in names if (folder / name).exists()]
    return [path.name for path in there if not path.is_dir() or any(path.iterdir())]


def reserve(parent: Path, name: str) -> Path:
    """A fresh folder that no other run has: ``name``, or with a number behind.

    Raises:
      CannotSave: it cannot be made.

    """
    with saving(parent):
        parent.mkdir(parents=True, exist_ok=True)
        for count in itertools.count(1):
            folder = parent / (name if count == 1 else f"{name}-{count}")
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
                break
    return folder


@dataclass(frozen=True)
class Run:
    """What ``run.json`` says.

    Attributes:
      folder: where it lies.
      recipe, seed: what is trained, and from where.
      command: as it was typed.
      mine: the student's own answers that are trained, blocks included: problem → fingerprint.
      fsdp: whether the state is divided among devices.
      image_shape, classes, mean, std: of the data, so that images can be classified without it.
      data_digest: what `Dataset.digest` was, so that other images are not taken for the same.
      versions: of Python and the packages that decide the numbers, and the devices, when it began.

    """

    folder: Path
    recipe: Recipe
    seed: int
    command: str
    mine: Mapping[int, str]
    fsdp: bool
    image_shape: tuple[int, int, int]
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    data_digest: str
    versions: dict[str, str]

    @property
    def metrics(self) -> Path:
        """A line an epoch."""
        return self.folder / "metrics.jsonl"

    def save(self) -> None:
        """Write ``run.json``.

        Raises:
          CannotSave: here and below, where the folder cannot be written to.

        """
        told = {k: v for k, v in dataclasses.asdict(self).items() if k != "folder"}
        write_whole(self.folder / "run.json", json.dumps(told, indent=1) + "\n")

    def write_metrics(self, history: Iterable[Line]) -> None:
        """Write ``metrics.jsonl`` anew."""
        write_whole(self.metrics, "".join(map(_as_json, history)))

    def add_metrics(self, line: Line) -> None:
        """Add a line to ``metrics.jsonl``."""
        with saving(self.metrics), self.metrics.open("a", encoding="utf-8") as file:
            file.write(_as_json(line))


def _as_json(line: Line) -> str:
    return json.dumps(line, allow_nan=False) + "\n"


def versions() -> dict[str, str]:
    """Of Python and the packages that decide the numbers, here, and the devices."""
    return {
        "python": platform.python_version(),
        **{package: metadata.version(package) for package in _PACKAGES},
        "devices": told(),
    }


def new(
    folder: Path,
    recipe: Recipe,
    seed: int,
    data: Dataset,
    command: str,
    mine: Mapping[int, str] | None = None,
    fsdp: bool = False,
) -> Run:
    """A run that begins now."""
    return Run(
        folder,
        recipe,
        seed,
        command,
        mine or {},
        fsdp,
        data.image_shape,
        data.classes,
        *data.statistics,
        data.digest,
        versions(),
    )


def read(folder: Path) -> Run:
    """The run in a folder.

    Raises:
      NoRun: there is none, its ``run.json`` is damaged, or it is a distillation's.

    """
    if (folder / _DISTILLATION).exists():
        raise _distillation(folder)
    try:
        told: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        recipe = Recipe(**told.pop("recipe"))
        lists = {k: tuple(told.pop(k)) for k in ("image_shape", "classes", "mean", "std")}
        mine = {int(number): text for number, text in (told.pop("mine") or {}).items()}
        for name, kind in _KINDS.items():
            if type(told.get(name)) is not kind:
                raise ValueError(f"its {name} is {told.get(name)!r}")
        return Run(folder, recipe, mine=mine, **lists, **told)
    except FileNotFoundError:
        inside = sorted(folder.glob("*/run.json"), key=lambda file: file.stat().st_mtime)
        instead = f"; name one of those in it, e.g. {inside[-1].parent}" if inside else ""
        raise NoRun(f"{folder} holds no run (no run.json){instead}") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, BadRecipe) as error:
        raise NoRun(f"{folder}/run.json cannot be read: {one_line(error)}") from None


def _distillation(folder: Path) -> NoRun:
    """Says what to type where a distillation was taken for a run."""
    told = f"{folder} is a distillation; to go on with it: python -m grader distill --resume "
    teacher = folder / "teacher"
    also = f". Its teacher is a run: {teacher}" if (teacher / "run.json").exists() else ""
    return NoRun(f"{told}{shlex.quote(str(folder))}{also}")

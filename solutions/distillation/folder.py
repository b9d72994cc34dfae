"""The folder of a distillation: ``distill.json``, ``metrics.jsonl``, checkpoints, the report.

A teacher that was trained on the spot lies in ``teacher`` in it, as a run of its own; what was
given to search with in ``queries.json``.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from solutions.distillation.settings import Distillation, from_json
from solutions.training import runs
from solutions.training.data import Dataset
from solutions.training.disk import write_whole
from solutions.training.recipe import BadRecipe, Recipe
from solutions.training.runs import NoRun, Run

_NAME = "distill.json"


@dataclass(frozen=True)
class DistillationRun:
    """What ``distill.json`` says.

    Attributes:
      asked: what is distilled.
      run: folder, seed, command, the data's shape and statistics, versions.

    """

    asked: Distillation
    run: Run

    def moved(self, data: str) -> DistillationRun:
        """The same with its images in another place."""
        asked = self.asked.with_changes({"data": data}, {})
        return DistillationRun(asked, dataclasses.replace(self.run, recipe=asked.recipe))

    @property
    def teacher(self) -> Run:
        """The run of a teacher that is trained on the spot."""
        folder = self.run.folder / "teacher"
        return dataclasses.replace(self.run, folder=folder, recipe=self.asked.teacher_recipe)

    def save(self) -> None:
        """Write ``distill.json``.

        Raises:
          CannotSave: it cannot be written.

        """
        told = dataclasses.asdict(self)
        for known in ("folder", "recipe"):
            del told["run"][known]
        write_whole(self.run.folder / _NAME, json.dumps(told, indent=1) + "\n")


def new(
    folder: Path, asked: Distillation, seed: int, data: Dataset, command: str
) -> DistillationRun:
    """A distillation that begins now."""
    return DistillationRun(asked, runs.new(folder, asked.recipe, seed, data, command))


def read(folder: Path) -> DistillationRun:
    """The distillation in a folder.

    Raises:
      NoRun: there is none, or its ``distill.json`` is damaged.

    """
    try:
        told = json.loads((folder / _NAME).read_text(encoding="utf-8"))
        asked, run = from_json(told["asked"]), told["run"]
        recipe: Recipe = asked.recipe
        lists = {k: tuple(run.pop(k)) for k in ("image_shape", "classes", "mean", "std")}
        return DistillationRun(asked, Run(folder, recipe, **lists, **run))
    except FileNotFoundError:
        raise NoRun(f"{folder} holds no distillation (no {_NAME})") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, BadRecipe) as error:
        raise NoRun(f"{folder}/{_NAME} cannot be read: {str(error)[:150]}") from None

"""The lab from runs to a page: examine, plant, write."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from solutions.registers import report
from solutions.registers.moments import moment
from solutions.registers.panels import Examined, Planted
from solutions.registers.planted import plant
from solutions.registers.record import as_json
from solutions.registers.study import study_registers
from solutions.registers.subjects import checkpoints_of, images_for, subject_of
from solutions.training.disk import saving, write_whole
from solutions.training.recipe import BadRecipe
from solutions.training.runs import Run

PLANTED_SHARE = 0.02
PLANTED_TIMES = 10.0


def examine(
    run: Run, name: str | None = None, seed: int = 0, cutoff: float | None = None
) -> Examined:
    """Every instrument on a run's newest checkpoint, the short examination on earlier ones.

    Args:
      run: of the references.
      name: what it is called; by its registers unless given.
      seed: of the choice of images, places and noise.
      cutoff: a norm; tokens above it are counted, too.

    Raises:
      BadRecipe, BadData, NoCheckpoint: the run cannot be examined; one line that says why.

    """
    images = images_for(run, seed=seed)
    checkpoints = checkpoints_of(run)
    subject = subject_of(run, checkpoints[-1][1], name)
    moments = tuple(
        moment(step, subject_of(run, params, name), images, cutoff) for step, params in checkpoints
    )
    study = study_registers(subject, images, cutoff)
    return Examined(subject, study, images, moments, _accuracy(run), (run.mean, run.std))


def planted_in(one: Examined, seed: int = 0) -> Examined:
    """The same model with high-norm tokens planted in the block in its middle."""
    subject, block = one.subject, max(0, len(one.study.norms) // 2 - 1)
    params, overwritten = plant(
        subject.model,
        subject.params,
        one.images.test,
        subject.rows,
        block,
        PLANTED_SHARE,
        PLANTED_TIMES,
        seed,
    )
    changed = dataclasses.replace(subject, name=f"{subject.name}, planted", params=params)
    study = study_registers(changed, one.images, one.study.summaries[-1].cutoff)
    return dataclasses.replace(
        one,
        subject=changed,
        study=study,
        moments=(),
        accuracy=float("nan"),
        planted=Planted(block + 1, overwritten),
    )


def lab(
    runs: Sequence[Run],
    folder: Path,
    command: str = "",
    seed: int = 0,
    tell: Callable[[str], None] = print,
    cutoff: float | None = None,
) -> tuple[Path, list[str]]:
    """Examine runs and write ``report.html`` and ``study.json`` into a folder.

    Args:
      runs: at least one.
      folder: made when it is missing.
      command: what was typed, for the page.
      seed: of the choice of images, places and noise, and of what is planted.
      tell: gets a line for each run.
      cutoff: a norm; tokens above it are counted, too.

    Returns:
      The path of the page, and what was found in sentences.

    Raises:
      BadRecipe: the runs were not trained on the same images, differ in patch size or depth, or
        cannot be looked into.
      BadData, NoCheckpoint: a run cannot be examined; one line that says why.
      CannotSave: the folder cannot be written to.

    """
    _comparable(runs)
    with saving(folder):
        folder.mkdir(parents=True, exist_ok=True)
    found = []
    for run, name in zip(runs, _names(runs), strict=True):
        tell(f"examining {run.folder}")
        found.append(examine(run, name, seed, cutoff))
    found.sort(key=_registers)
    planted = planted_in(found[0], seed)
    told = {one.study.name: as_json(one) for one in [*found, planted]}
    write_whole(folder / "study.json", json.dumps(told, indent=1) + "\n")
    path = report.write(folder, found, planted, found[0], command)
    return path, report.findings(found, planted)


def _comparable(runs: Sequence[Run]) -> None:
    """The page shows the same images for all, cut into the same patches, and as many layers."""
    first = runs[0]
    for run in runs[1:]:
        if (run.image_shape, run.classes, run.mean) != (
            *(first.image_shape, first.classes, first.mean),
        ):
            raise BadRecipe(
                f"{first.folder} and {run.folder} were trained on different images; examine them "
                "one at a time"
            )
        for field in ("patch_size", "depth"):
            one, other = (getattr(of.recipe, field) for of in (first, run))
            if one != other:
                raise BadRecipe(
                    f"{first.folder} has {field} {one}, {run.folder} {other}; the page sets "
                    "patches and layers beside each other: examine them one at a time"
                )


def _names(runs: Sequence[Run]) -> list[str]:
    """``R = 4``, with the folder where two would be called the same."""
    plain = [f"R = {r.recipe.registers if r.recipe.model == 'registers' else 0}" for r in runs]
    return [
        name if plain.count(name) == 1 else f"{name} ({run.folder.name})"
        for name, run in zip(plain, runs, strict=True)
    ]


def _registers(one: Examined) -> int:
    rows = one.subject.rows.registers
    return int(rows.stop - rows.start)


def _accuracy(run: Run) -> float:
    with contextlib.suppress(OSError, ValueError, KeyError, IndexError):
        lines = map(json.loads, run.metrics.read_text(encoding="utf-8").splitlines())
        tested = [line["test_accuracy"] for line in lines if line["test_accuracy"] is not None]
        return float(tested[-1])
    return float("nan")

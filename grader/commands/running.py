"""What every command on runs needs: settings, data, errors, somebody to tell."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from grader.commands.targets import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from solutions.training.data import Dataset
    from solutions.training.recipe import Recipe
    from solutions.training.runs import Run

RUNS = Path("runs")

MOST_SEED = 2**32 - 1
"""The largest seed that JAX takes."""


def quiet() -> None:
    """Before JAX is imported: no chatter of XLA's own."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def prepare_jax() -> None:
    """Find the devices, compute in float32, and keep what is compiled for the next run.

    Raises:
      BadDevices: there are none of the kind that ``JAX_PLATFORMS`` asks for.

    """
    import jax

    from solutions.training.devices import all_devices

    all_devices()
    jax.config.update("jax_enable_x64", False)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    jax.config.update("jax_compilation_cache_dir", str(cache / "vit-problems" / "xla"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


def check_out(out: Path | None, goes_on_with: str = "") -> None:
    """Whether a new run can lie in the folder of ``--out``, so that it writes over nothing.

    Args:
      out: the folder, if there is one.
      goes_on_with: the file that says that what lies there is of the same kind, and gone on with.

    Raises:
      UsageError: it cannot.

    """
    from solutions.training import runs

    if out is None:
        return
    if not out.name:
        raise UsageError("--out is the folder of the run; this one has other things in it")
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file; a run needs a folder")
    there = runs.lying_in(out)
    if goes_on_with in there:
        return
    if "run.json" in there or "distill.json" in there:
        resume = "" if goes_on_with else f"--resume {out}, or "
        raise UsageError(f"{out} holds a run already; {resume}another --out")
    if there:
        raise UsageError(
            f"{out} holds {' and '.join(there)} of something else, which a run would write over; "
            "name another --out"
        )


@contextmanager
def folder_for(name: str, out: Path | None) -> Iterator[Path]:
    """``out``, or a fresh folder, the same in all processes; one that stays empty goes again."""
    from solutions.training import devices, runs

    if out is not None:
        yield out
        return
    name = f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    mine = devices.in_first_process(lambda: runs.reserve(RUNS, name))
    folder = Path(devices.of_first_process(str(mine)))
    try:
        yield folder
    finally:
        with suppress(OSError):
            folder.rmdir()


def changed_fields(changes: list[str] | None) -> dict[str, str]:
    """The fields and values of ``--set FIELD=VALUE``.

    Raises:
      UsageError: one of them has no equals sign.

    """
    for change in changes or []:
        if "=" not in change:
            raise UsageError(f"--set {change}: say --set FIELD=VALUE")
    split = (change.partition("=") for change in changes or [])
    return {field.strip(): value.strip() for field, _, value in split}


def load(recipe: Recipe, run: Run | None = None, otherwise: str = "begin a new run") -> Dataset:
    """The images that a recipe names.

    Args:
      recipe: says which.
      run: what was trained on these very images, if they have to be the same.
      otherwise: what to do where they are not.

    Raises:
      UsageError: they are not there, or not the ones that ``run`` began with.

    """
    from solutions.training import data

    try:
        images = data.load(recipe.data, recipe.image_size)
    except data.BadData as error:
        if run is None:
            raise
        raise UsageError(f"{error}; if its images have moved: --data FOLDER") from None
    if run is not None and images.digest != run.data_digest:
        raise UsageError(
            f"{recipe.data} is not what {run.folder} was trained on; put its images back as they "
            f"were, or {otherwise}"
        )
    return images


def teller(console: Console) -> Callable[[str], None]:
    """Prints lines on the console, above its progress bar; in the first process only."""
    import jax

    first = jax.process_index() == 0

    def tell(text: str) -> None:
        if first:
            console.print(text, soft_wrap=True, highlight=False, markup=False)

    return tell


@contextmanager
def errors_told() -> Iterator[None]:
    """Errors as one line: a wrong word is a matter of usage (2), a failed run is not (1)."""
    from solutions.training.checkpoints import AnotherRun, NoCheckpoint
    from solutions.training.data import BadData
    from solutions.training.devices import BadDevices
    from solutions.training.disk import CannotSave
    from solutions.training.loop import NotANumber
    from solutions.training.memory import NoRoom, memory_told
    from solutions.training.recipe import BadRecipe
    from solutions.training.runs import NoRun

    try:
        with memory_told():
            yield
    except (BadRecipe, BadData, BadDevices, NoRun, NoCheckpoint, AnotherRun) as error:
        raise UsageError(str(error)) from None
    except (NotANumber, CannotSave, NoRoom) as error:
        print(f"grader: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:  # Typer would end without a word
        raise typer.Abort from None

"""What both labs do with runs: train one that is needed, look on, tell errors."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from grader.commands.running import errors_told, teller

if TYPE_CHECKING:
    from solutions.training.data import Dataset
    from solutions.training.runs import Run
    from solutions.training.train import Trained


def train_for_lab(
    run: Run, data: Dataset, command: str, go_on: str, stop: Any, tell: Callable[[str], None]
) -> Trained:
    """Train a model that a lab needs, as a run in a folder of its own; a trained one is kept."""
    from grader.report.terminal import console_for
    from solutions.training import watching
    from solutions.training.train import train

    run = dataclasses.replace(run, command=command)
    tell(f"{run.recipe.name}: {run.recipe.model}, {run.recipe.epochs} epochs, in {run.folder}")
    run.save()
    watch = watching.Watching(run, console_for(), stop)
    with stop.listening(), watch.showing():
        trained = train(
            run.recipe, seed=run.seed, data=data, out=run.folder, watch=watch, tell=tell
        )
    if not trained.finished:
        tell(f"saved at step {trained.step}. Go on with: {go_on}")
        raise typer.Exit(128 + (stop.number or signal.SIGINT))
    run.write_metrics(trained.history)
    return trained


@contextmanager
def going_on_told(go_on: str, begun: Path) -> Iterator[None]:
    """What cannot be written says what to type next, too, once ``begun`` is there."""
    from solutions.training.disk import CannotSave

    try:
        yield
    except CannotSave as error:
        if not begun.exists():
            raise
        raise CannotSave(f"{error}. Go on with: {go_on}") from None


def onlookers(run: Run) -> tuple[Callable[[str], None], Any, Any]:
    """Somebody to tell lines, somebody who hears Ctrl-C, and somebody who shows the progress."""
    from grader.report.terminal import console_for
    from solutions.training import watching

    console = console_for()
    tell = teller(console)
    stop = watching.Stop(tell)
    return tell, stop, watching.Watching(run, console, stop)


@contextmanager
def lab_errors_told() -> Iterator[None]:
    """Errors as one line, those of published weights among them."""
    from grader.cli import UsageError
    from solutions.distillation.safetensors_file import PretrainedError

    with errors_told():
        try:
            yield
        except PretrainedError as error:
            raise UsageError(str(error)) from None

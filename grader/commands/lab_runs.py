"""What both labs do with runs: train one that is needed, look on, tell errors."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from grader.commands.running import errors_told, teller
from grader.commands.targets import UsageError

if TYPE_CHECKING:
    from solutions.training.data import Dataset
    from solutions.training.runs import Run
    from solutions.training.train import Trained
    from solutions.training.watching import Watching


class Onlookers:
    """Who looks on at all runs of a command, on one console.

    Attributes:
      tell: prints a line, above the progress.
      stop: hears Ctrl-C.

    """

    def __init__(self) -> None:
        from grader.report.terminal import console_for
        from solutions.training.watching import Stop

        self._console = console_for()
        self.tell = teller(self._console)
        self.stop = Stop(self.tell)

    def watching(self, run: Run) -> Watching:
        """Shows the progress of a run."""
        from solutions.training.watching import Watching

        return Watching(run, self._console, self.stop)


def train_for_lab(
    run: Run, data: Dataset, command: str, go_on: str, onlookers: Onlookers
) -> Trained:
    """Train a model that a lab needs, as a run in a folder of its own; a trained one is kept."""
    from solutions.training.train import train

    tell, stop = onlookers.tell, onlookers.stop
    run = dataclasses.replace(run, command=command)
    tell(f"{run.recipe.name}: {run.recipe.model}, {run.recipe.epochs} epochs, in {run.folder}")
    run.save()
    watch = onlookers.watching(run)
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


@contextmanager
def lab_errors_told() -> Iterator[None]:
    """Errors as one line, those of published weights among them."""
    from solutions.distillation.safetensors_file import PretrainedError

    with errors_told():
        try:
            yield
        except PretrainedError as error:
            raise UsageError(str(error)) from None

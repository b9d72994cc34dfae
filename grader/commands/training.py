"""The command ``train``: from words to `solutions.training`."""

from __future__ import annotations

import dataclasses
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grader.commands.running import (
    MOST_SEED,
    changed_fields,
    check_out,
    errors_told,
    folder_for,
    load,
    prepare_jax,
    quiet,
    teller,
)
from grader.commands.targets import UsageError
from grader.interrupted import interruptible

if TYPE_CHECKING:
    from solutions.training.data import Dataset
    from solutions.training.mine import Mine
    from solutions.training.recipe import Recipe
    from solutions.training.runs import Run
    from solutions.training.train import Trained

DEFAULT = "digits"
"""The recipe where none is named."""

_MINE = "Train your own answers that have passed (45 to 48, 50) in place of the references."

_SET = "Change the recipe: --set epochs=10. What there is: solutions/training/recipe.py."


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("train", help="Train a Vision Transformer.")(train)


def train(
    recipe: Annotated[
        str | None, typer.Argument(help="A recipe: digits, cifar10-small, …", show_default=DEFAULT)
    ] = None,
    data: Annotated[str | None, typer.Option(help="A dataset's name, or a folder.")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=MOST_SEED, help="Of everything random.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where the run goes.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with the run in this folder.")] = None,
    mine: Annotated[bool, typer.Option("--mine", help=_MINE)] = False,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help=_SET)
    ] = None,
    fsdp: Annotated[
        bool, typer.Option("--fsdp", help="Divide parameters and optimiser among the devices.")
    ] = False,
    distributed: Annotated[
        bool, typer.Option("--distributed", help="Several hosts, as Slurm or GKE tells.")
    ] = False,
    coordinator: Annotated[str | None, typer.Option(help="Several hosts: host:port.")] = None,
    num_processes: Annotated[int | None, typer.Option(min=1, help="Several hosts.")] = None,
    process_id: Annotated[int | None, typer.Option(min=0, help="Several hosts.")] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write TensorBoard events, too.")
    ] = False,
) -> None:
    """Train, or go on training."""
    quiet()
    with errors_told():
        from solutions.training import devices, runs

        several = (coordinator, num_processes, process_id)
        if distributed or any(part is not None for part in several):
            devices.join_processes(*several)
        prepare_jax()
        devices.check_same(lambda: {"--out": out, "--resume": resume, "--tensorboard": tensorboard})
        if resume is not None:
            if any((recipe, seed is not None, out, mine, changes, fsdp)):
                raise UsageError(
                    "--resume goes on with a run as it was; only --data, --tensorboard and the "
                    "options for several hosts go with it"
                )
            found = devices.in_all_processes(lambda: _to_resume(resume, data))
            _train(*found, resumed=True, tensorboard=tensorboard)
            return
        chosen, images, own = devices.in_all_processes(
            lambda: _to_begin(recipe or DEFAULT, changes, data, out, mine)
        )
        command = shlex.join(["python", "-m", "grader", *sys.argv[1:]])
        interruptible()  # from here on something has to be cleared away
        with folder_for(chosen.name, out) as folder:
            texts = own.texts if own else None
            run = runs.new(folder, chosen, seed or 0, images, command, texts, fsdp)
            _train(run, images, own, resumed=False, tensorboard=tensorboard)


def _to_begin(
    recipe: str, changes: list[str] | None, data: str | None, out: Path | None, mine: bool
) -> tuple[Recipe, Dataset, Mine | None]:
    """What a new run trains, and on which images."""
    from solutions.training.data import located
    from solutions.training.recipe import named
    from solutions.training.train import planned

    chosen = named(recipe).with_changes(changed_fields(changes))
    chosen = chosen.with_changes({"data": located(chosen.data if data is None else data)})
    check_out(out)
    images = load(chosen)
    planned(chosen, images)
    return chosen, images, _own_for(chosen, images) if mine else None


def _to_resume(folder: Path, data: str | None) -> tuple[Run, Dataset, Mine | None]:
    """What lies in a folder, to go on with."""
    from solutions.training import runs
    from solutions.training.data import located
    from solutions.training.train import planned

    run = runs.read(folder)
    if data is not None:
        moved = run.recipe.with_changes({"data": located(data)})
        run = dataclasses.replace(run, recipe=moved)
    images = load(run.recipe, run)
    planned(run.recipe, images, run.seed)
    return run, images, _own_of(run)


def _train(run: Run, data: Dataset, own: Mine | None, *, resumed: bool, tensorboard: bool) -> None:
    import jax

    from grader import catalogue
    from grader.report.terminal import console_for
    from solutions.training import devices, watching
    from solutions.training.train import train as training

    console, first = console_for(), jax.process_index() == 0
    tell = teller(console)
    stop = watching.Stop(tell)
    events = devices.in_first_process(lambda: _events(run)) if tensorboard else None
    sources = own.sources.items() if own else ()
    answers = {catalogue.solution_path(number).name: text for number, text in sources}
    watch = watching.Watching(run if first else None, console, stop, events, answers)
    for line in _opening(run, data, own, resumed):
        tell(line)
    with _what_next_told(run), stop.listening(), watch.showing():
        trained = training(
            run.recipe,
            seed=run.seed,
            data=data,
            out=run.folder,
            watch=watch,
            fsdp=run.fsdp,
            model=own.model if own else None,
            step50=own.step50 if own else None,
            whose=str(dict(sorted(run.mine.items()))) if run.mine else "",
            tell=tell,
        )
    if not trained.finished:
        tell(f"saved at step {trained.step}. {_go_on(run)}")
        raise typer.Exit(128 + (stop.number or signal.SIGINT))
    params = devices.on_host(trained.params)
    if first:
        with _what_next_told(run), _stopped_is_told(run, tell):
            _finish(run, trained, params, own, tell)


@contextmanager
def _stopped_is_told(run: Run, tell: Callable[[str], None]) -> Iterator[None]:
    """Who stops a run while its report is written is told how to have it."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        tell(f"the report is not written. {_go_on(run)}")
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


_LARGE_RATE = 0.01
"""There is hardly a model that learns with more, by AdamW or Muon."""


def _go_on(run: Run) -> str:
    return f"Go on with: python -m grader train --resume {shlex.quote(str(run.folder))}"


@contextmanager
def _what_next_told(run: Run) -> Iterator[None]:
    """Errors of a run say what to type next, too."""
    from solutions.training.disk import CannotSave
    from solutions.training.loop import NotANumber

    try:
        yield
    except CannotSave as error:
        if not (run.folder / "run.json").exists():  # there is nothing yet to go on with
            raise
        raise CannotSave(f"{error}. {_go_on(run)}") from None
    except NotANumber as error:
        raise NotANumber(
            f"{error}, in a new run, as this one would come to the same: {_slower(run.recipe)}"
        ) from None


def _slower(recipe: Recipe) -> str:
    """Settings for a run like this one with a half of its learning rates, or with usual ones."""
    rates = {"base_lr": recipe.base_lr}
    if recipe.optimizer == "muon" and recipe.muon_lr is not None:
        rates["muon_lr"] = recipe.muon_lr
    return " ".join(f"--set {name}={min(rate / 2, _LARGE_RATE):g}" for name, rate in rates.items())


def _opening(run: Run, data: Dataset, own: Mine | None, resumed: bool) -> Iterator[str]:
    from solutions.training import devices
    from solutions.training.runs import versions

    yield (
        f"recipe {run.recipe.name}, model {run.recipe.model}: {len(data.train_images)} images of "
        f"{data.name} to train on, {len(data.test_images)} to test, on {devices.told()}, seed "
        f"{run.seed}, {'resumed' if resumed else 'into'} {run.folder}"
    )
    if missing := sorted(set(range(len(data.classes))) - set(data.train_labels.tolist())):
        of_them = ", ".join(data.classes[number] for number in missing[:5])
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        yield f"of {len(data.classes)} classes these have no image to train on: {of_them}{more}"
    others = [
        f"{name} {run.versions.get(name)} → {version}"
        for name, version in versions().items()
        if run.versions.get(name) != version
    ]
    if others:
        yield f"not what it began with, so the last digits may differ: {', '.join(others)}"
    yield from own.notes if own else ()


def _finish(
    run: Run, trained: Trained, params: Any, own: Mine | None, tell: Callable[[str], None]
) -> None:
    """The metrics as they are in the end, the report, and the last lines."""
    from solutions.training import report
    from solutions.training.evaluation import Classifier

    run.write_metrics(trained.history)
    last = trained.history[-1]
    shown = Classifier(trained.model, params, (run.mean, run.std))
    page = report.write(run, trained.history, shown, trained.data, own.notes if own else ())
    tell(f"report: {page}")
    tell(
        f"test accuracy {last['test_accuracy']:.2%}, loss {last['test_loss']:.3f}, after "
        f"{report.epochs(last)} in {last['seconds']:.0f} s"
    )


def _own_for(recipe: Recipe, data: Dataset) -> Mine:
    """The student's own answers that a new run can train."""
    from solutions.training.mine import answers

    return answers(recipe, data.image_shape, len(data.classes))


def _own_of(run: Run) -> Mine | None:
    if not run.mine:
        return None
    from solutions.training.mine import answers_of

    return answers_of(run)


def _events(run: Run) -> Callable[[dict[str, float]], None]:
    from solutions.training.disk import saving
    from solutions.training.events import tensorboard
    from solutions.training.runs import EVENTS

    try:
        with saving(run.folder / EVENTS):
            return tensorboard(run.folder / EVENTS)
    except ImportError:
        raise UsageError(
            "--tensorboard needs: pip install -c constraints.txt -e '.[train]'"
        ) from None

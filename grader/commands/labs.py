"""The commands ``distill`` and ``registers``: from words to the labs in `solutions`."""

from __future__ import annotations

import dataclasses
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grader.commands.training import RUNS, _cache_programs, _pairs, _quiet, _told

if TYPE_CHECKING:
    import numpy as np

    from solutions.distillation.folder import DistillationRun
    from solutions.training.data import Dataset
    from solutions.training.runs import Run
    from solutions.training.train import Trained

_TEACHER = (
    "A run's folder, or CLIP: a path or a name on the hub such as openai/clip-vit-base-patch32. "
    "Without it a teacher is trained first."
)
_LOSS = "l1 (problem 49), cosine, kl, kl-deit, hard or affinity."
_QUERY = "An embedding to search with: a .npy file of shape (D,)."


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("distill", help="Teach a small ViT the embeddings of a teacher.")(distill)
    app.command("registers", help="Look for artefacts in ViTs with and without registers.")(
        registers
    )


def distill(
    teacher: Annotated[str | None, typer.Option(help=_TEACHER)] = None,
    loss: Annotated[str, typer.Option(help=_LOSS)] = "l1",
    temperature: Annotated[float, typer.Option(help="Of kl and kl-deit.")] = 2.0,
    data: Annotated[str | None, typer.Option(help="A dataset's name, or a folder.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of everything random.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where the run goes.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with the run in this folder.")] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="Change the student: --set epochs=10")
    ] = None,
    teacher_changes: Annotated[
        list[str] | None,
        typer.Option("--set-teacher", help="Change the teacher that is trained first."),
    ] = None,
    neighbours_only: Annotated[
        bool, typer.Option("--neighbours-only", help="A patch sees only the patches around it.")
    ] = False,
    same_norm: Annotated[
        bool, typer.Option(help="Patch vectors of one learned length, at most 10.")
    ] = True,
    query: Annotated[list[Path] | None, typer.Option(help=_QUERY)] = None,
) -> None:
    """Distil, or go on distilling."""
    from grader.cli import UsageError

    _quiet()
    with _explained():
        from solutions.distillation import Distillation, folder
        from solutions.distillation.queries import read_query

        _cache_programs()
        queries = {path.stem: read_query(path) for path in query or []}
        if resume is not None:
            given = (teacher, data, seed is not None, out, changes, teacher_changes)
            other = loss != "l1" or temperature != 2.0 or neighbours_only or not same_norm
            if any(given) or other:
                raise UsageError("--resume goes on with a run as it was; leave the rest away")
            old = folder.read(resume)
            _distill(old, _load(old.asked.recipe, old.run), queries, resumed=True)
            return
        if teacher is not None and teacher_changes:
            raise UsageError("--set-teacher is for a teacher trained here; leave out --teacher")
        asked = Distillation(
            teacher=teacher,
            loss=loss,
            temperature=temperature,
            neighbours_only=neighbours_only,
            same_norm=same_norm,
        )
        student = {**_pairs(changes or []), **({} if data is None else {"data": data})}
        asked = asked.with_changes(student, _pairs(teacher_changes or []))
        place = out or RUNS / f"{asked.recipe.name}-{time.strftime('%Y%m%d-%H%M%S')}"
        if folder.holds_one(place):
            raise UsageError(f"{place} holds a run already; --resume {place}, or another --out")
        images = _load(asked.recipe, None)
        command = shlex.join(["python", "-m", "grader", *sys.argv[1:]])
        run = folder.new(place, asked, seed or 0, images, command)
        _distill(run, images, queries, resumed=False)


def registers(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[RUN…]", help="Folders of runs; without them some are trained."),
    ] = None,
    counts: Annotated[
        str, typer.Option("--counts", help="How many registers the trained ones have.")
    ] = "0,1,4",
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Where the page goes; goes on with what is there.")
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="Change the trained ones: --set epochs=10")
    ] = None,
) -> None:
    """Examine runs, or train small ones and examine those."""
    from grader.cli import UsageError

    _quiet()
    with _explained():
        from solutions.registers.lab import lab
        from solutions.training.runs import read

        _cache_programs()
        if runs and (changes or counts != "0,1,4"):
            raise UsageError("--set and --counts are for runs trained here; leave RUN out")
        place = out or RUNS / f"registers-{time.strftime('%Y%m%d-%H%M%S')}"
        command = shlex.join(["python", "-m", "grader", *sys.argv[1:]])
        if runs:
            chosen = [read(folder) for folder in runs]
        else:
            chosen = _train_small(_numbers(counts), place, seed, _pairs(changes or []), command)
        from grader.report.terminal import console_for

        console = console_for()

        def tell(text: str) -> None:
            console.print(text, soft_wrap=True, highlight=False, markup=False)

        path, findings = lab(chosen, place, command, seed, tell)
        for line in findings:
            tell(line)
        tell(f"report: {path}")


def _train_small(
    counts: list[int], place: Path, seed: int, changes: dict[str, str], command: str
) -> list[Run]:
    from solutions.registers import subjects
    from solutions.training import runs

    base = subjects.SMALL.with_changes(changes)
    images = subjects.write_canvases(place / "canvases", seed)
    data = _load(subjects.small_recipe(0, images, base), None)
    trained = []
    for count in counts:
        recipe = subjects.small_recipe(count, images, base)
        run = runs.new(place / f"r{count}", recipe, seed, data, command)
        tell, stop, _ = _onlookers(run)
        go_on = f"python -m grader registers --out {shlex.quote(str(place))}"
        _train(run, data, command, go_on + " (and the same options)", stop, tell)
        trained.append(run)
    return trained


def _numbers(text: str) -> list[int]:
    from grader.cli import UsageError

    try:
        counts = sorted({int(part) for part in text.split(",")})
    except ValueError:
        counts = [-1]
    if counts[0] < 0:
        raise UsageError(f"--counts {text}: say numbers with commas between, e.g. 0,1,4")
    return counts


def _distill(
    of: DistillationRun, data: Dataset, queries: dict[str, np.ndarray], resumed: bool
) -> None:
    from solutions.distillation import report
    from solutions.distillation.queries import check_query
    from solutions.distillation.run import distill as distilling
    from solutions.distillation.run import embedding_length, teacher_from, teacher_of
    from solutions.training.models import grid_of

    tell, stop, watch = _onlookers(of.run)
    go_on = f"python -m grader distill --resume {shlex.quote(str(of.run.folder))}"
    asked, seed = of.asked, of.run.seed
    tell(
        f"{asked.recipe.name}: {len(data.train_images)} images of {data.name} to train on, "
        f"{len(data.test_images)} to test, loss {asked.loss}, seed {seed}, "
        f"{'resumed' if resumed else 'into'} {of.run.folder}"
    )
    grid_of(asked.recipe, data.image_shape)  # says what does not fit before anything is written
    if asked.teacher is None:
        grid_of(asked.teacher_recipe, data.image_shape)
        of.save()
        trained = _train(of.teacher, data, of.run.command, go_on, stop, tell)
        teacher = teacher_from(trained)
    else:
        teacher = teacher_of(asked, data, seed, of.run.folder, tell=tell)
    length = embedding_length(teacher, data.image_shape)
    for name, query in queries.items():
        check_query(name, query, length)
    asked.sized(length)
    of.save()
    with stop.listening(), watch.showing():
        distilled = distilling(
            asked,
            seed=seed,
            data=data,
            teacher=teacher,
            out=of.run.folder,
            watch=watch,
            tell=tell,
        )
    if not distilled.finished:
        tell(f"saved at step {distilled.step}. Go on with: {go_on}")
        raise typer.Exit(128 + (stop.number or signal.SIGINT))
    of.run.write_metrics(distilled.history)
    path, numbers = report.write(of, distilled, queries)
    tell(f"report: {path}")
    tell(
        f"cosine with the teacher {numbers.cosine:.3f}, same nearest neighbour "
        f"{numbers.nearest:.1%}, linear probe {numbers.student.probe:.2%} (teacher "
        f"{numbers.teacher.probe:.2%})"
    )


def _train(
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


def _onlookers(run: Run) -> tuple[Callable[[str], None], Any, Any]:
    """Somebody to tell lines, somebody who hears Ctrl-C, and somebody who shows the progress."""
    from grader.report.terminal import console_for
    from solutions.training import watching

    console = console_for()

    def tell(text: str) -> None:
        console.print(text, soft_wrap=True, highlight=False, markup=False)

    stop = watching.Stop(tell)
    return tell, stop, watching.Watching(run, console, stop)


def _load(recipe: Any, run: Run | None) -> Dataset:
    from grader.cli import UsageError
    from solutions.training import data

    images = data.load(recipe.data, recipe.image_size)
    if run is not None and (images.image_shape, images.classes, *images.statistics) != (
        *(run.image_shape, run.classes, run.mean, run.std),
    ):
        raise UsageError(f"{recipe.data} is not what {run.folder} was trained on")
    return images


@contextmanager
def _explained() -> Iterator[None]:
    """Errors as one line, those of published weights among them."""
    from grader.cli import UsageError
    from solutions.distillation.safetensors_file import PretrainedError

    with _told():
        try:
            yield
        except PretrainedError as error:
            raise UsageError(str(error)) from None

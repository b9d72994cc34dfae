"""The commands ``distill`` and ``registers``: from words to the labs in `solutions`."""

from __future__ import annotations

import dataclasses
import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grader.commands.lab_runs import Onlookers, going_on_told, lab_errors_told, train_for_lab
from grader.commands.running import (
    MOST_SEED,
    changed_fields,
    check_out,
    folder_for,
    load,
    prepare_jax,
    quiet,
    teller,
)
from grader.commands.targets import UsageError

if TYPE_CHECKING:
    import numpy as np

    from solutions.distillation.folder import DistillationRun
    from solutions.training.data import Dataset
    from solutions.training.runs import Run

_TEACHER = (
    "A run's folder, or CLIP: a path or a name on the hub such as "
    "openai/clip-vit-base-patch32@refs/pr/66. Without it a teacher is trained first."
)
_LOSS = "l1 (problem 49), cosine (and the squared error), kl, kl-deit, hard or affinity."
_FIELD = "FIELD=VALUE"
_CUTOFF = "Also count the patch tokens with a norm above this."
_QUERY = "An embedding to search with: a .npy file of shape (D,)."
_TEXT = "A text to search with, where --teacher is a whole CLIP with its tokenizer.json."


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("distill", help="Teach a small ViT the embeddings of a teacher.")(distill)
    app.command("registers", help="Look for artefacts in ViTs with and without registers.")(
        registers
    )


def distill(
    teacher: Annotated[str | None, typer.Option(help=_TEACHER)] = None,
    loss: Annotated[str | None, typer.Option(help=_LOSS, show_default="l1")] = None,
    temperature: Annotated[
        float | None, typer.Option(help="Of kl and kl-deit.", show_default="2")
    ] = None,
    data: Annotated[str | None, typer.Option(help="A dataset's name, or a folder.")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=MOST_SEED, help="Of everything random.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where the run goes.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with the run in this folder.")] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar=_FIELD, help="Change the student: --set epochs=10"),
    ] = None,
    teacher_changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set-teacher", metavar=_FIELD, help="Change the teacher that is trained first."
        ),
    ] = None,
    neighbours_only: Annotated[
        bool, typer.Option("--neighbours-only", help="A patch sees only the patches around it.")
    ] = False,
    same_norm: Annotated[
        bool | None,
        typer.Option(
            help="Patch vectors of one learned length, at most 10.", show_default="same-norm"
        ),
    ] = None,
    query: Annotated[list[Path] | None, typer.Option(help=_QUERY)] = None,
    query_text: Annotated[list[str] | None, typer.Option(help=_TEXT)] = None,
) -> None:
    """Distil, or go on distilling."""
    quiet()
    with lab_errors_told():
        from solutions.distillation import Distillation, folder
        from solutions.distillation.queries import kept_queries, read_queries, text_queries
        from solutions.training.data import located

        prepare_jax()
        queries = read_queries(query or [])
        if resume is not None:
            given = (teacher, loss, temperature, seed, out, changes, teacher_changes, same_norm)
            if neighbours_only or any(one is not None for one in given):
                raise UsageError(
                    "--resume goes on with a run as it was; only --data, --query and --query-text "
                    "go with it"
                )
            old = folder.read(resume)
            if data is not None:
                old = old.moved(located(data))
            if query_text:
                queries |= text_queries(_clip(old.asked.teacher), query_text)
            queries = {**kept_queries(resume), **queries}
            images = load(old.asked.recipe, old.run)
            with going_on_told(_go_on(resume), resume / "distill.json"):
                _distill(old, images, queries, resumed=True)
            return
        if teacher is not None and teacher_changes:
            raise UsageError("--set-teacher is for a teacher trained here; leave out --teacher")
        if query_text:
            queries |= text_queries(_clip(teacher), query_text)
        chosen: dict[str, Any] = {"loss": loss, "temperature": temperature, "same_norm": same_norm}
        asked = Distillation(
            teacher=teacher,
            neighbours_only=neighbours_only,
            **{name: value for name, value in chosen.items() if value is not None},
        )
        student = {**changed_fields(changes), **({} if data is None else {"data": data})}
        asked = asked.with_changes(student, changed_fields(teacher_changes))
        asked = asked.with_changes({"data": located(asked.recipe.data)}, {})
        check_out(out)
        images = load(asked.recipe)
        command = shlex.join(["python", "-m", "grader", *sys.argv[1:]])
        with folder_for(asked.recipe.name, out) as place:
            run = folder.new(place, asked, seed or 0, images, command)
            with going_on_told(_go_on(place), place / "distill.json"):
                _distill(run, images, queries, resumed=False)


def _go_on(place: Path) -> str:
    return f"python -m grader distill --resume {shlex.quote(str(place))}"


def _clip(teacher: str | None) -> str:

    if teacher is None or (Path(teacher) / "run.json").exists():
        raise UsageError("--query-text needs CLIP as the teacher: only CLIP can read")
    return teacher


def registers(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[RUN…]", help="Folders of runs; without them some are trained."),
    ] = None,
    counts: Annotated[
        str, typer.Option("--counts", help="How many registers the trained ones have.")
    ] = "0,1,4",
    seed: Annotated[int, typer.Option(min=0, max=MOST_SEED, help="Of everything random.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Where the page goes; goes on with what is there.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar=_FIELD, help="Change the trained ones: --set epochs=10"),
    ] = None,
    cutoff: Annotated[float | None, typer.Option(min=0, help=_CUTOFF)] = None,
) -> None:
    """Examine runs, or train small ones and examine those."""
    quiet()
    with lab_errors_told():
        from solutions.registers.lab import lab
        from solutions.training.runs import read

        prepare_jax()
        if runs and (changes or counts != "0,1,4"):
            raise UsageError("--set and --counts are for runs trained here; leave RUN out")
        check_out(out, goes_on_with="study.json")
        command = shlex.join(["python", "-m", "grader", *sys.argv[1:]])
        with folder_for("registers", out) as place:
            go_on = command if out else f"{command} --out {shlex.quote(str(place))}"
            with going_on_told(go_on, place):
                if runs:
                    chosen = [read(folder) for folder in runs]
                else:
                    changed = changed_fields(changes)
                    chosen = _train_small(_numbers(counts), place, seed, changed, command, go_on)
                from grader.report.terminal import console_for

                tell = teller(console_for())
                path, findings = lab(chosen, place, command, seed, tell, cutoff)
        for line in findings:
            tell(line)
        tell(f"report: {path}")


def _train_small(
    counts: list[int],
    place: Path,
    seed: int,
    changes: dict[str, str],
    command: str,
    go_on: str,
) -> list[Run]:
    from solutions.registers import subjects
    from solutions.training import runs
    from solutions.training.train import planned

    base = subjects.small_with(changes)
    images = subjects.write_canvases(place.resolve() / "canvases", seed)
    data = load(subjects.small_recipe(0, images, base))
    wanted = []
    for count in counts:
        recipe = subjects.small_recipe(count, images, base)
        planned(recipe, data)
        run = runs.new(place / f"r{count}", recipe, seed, data, command)
        wanted.append(subjects.new_or_same(run))  # all of them, before anything is written
    onlookers = Onlookers()
    for run in wanted:
        train_for_lab(run, data, command, go_on, onlookers)
    return wanted


def _numbers(text: str) -> list[int]:

    try:
        counts = sorted({int(part) for part in text.split(",")})
        if counts[0] >= 0:
            return counts
    except ValueError:
        pass
    raise UsageError(f"--counts {text}: say numbers with commas between, e.g. 0,1,4")


def _distill(
    of: DistillationRun, data: Dataset, queries: dict[str, np.ndarray], resumed: bool
) -> None:
    from solutions.distillation import report
    from solutions.distillation.pinning import pinned_teacher
    from solutions.distillation.queries import check_query, keep_queries
    from solutions.distillation.run import distill as distilling
    from solutions.distillation.run import embedding_length, teacher_from
    from solutions.distillation.run_teacher import embedding_width
    from solutions.training.train import planned

    onlookers = Onlookers()
    tell, stop = onlookers.tell, onlookers.stop
    go_on = _go_on(of.run.folder)
    asked, seed = of.asked, of.run.seed
    planned(asked.recipe, data)
    if asked.teacher is None:
        planned(asked.teacher_recipe, data)
    tell(
        f"{asked.recipe.name}: {len(data.train_images)} images of {data.name} to train on, "
        f"{len(data.test_images)} to test, loss {asked.loss}, seed {seed}, "
        f"{'resumed' if resumed else 'into'} {of.run.folder}"
    )

    def keep(length: int) -> None:
        """Write down what is asked for; what does not fit is said before."""
        asked.sized(length)
        for name, query in queries.items():
            check_query(name, query, length)
        of.save()
        keep_queries(of.run.folder, queries)

    if asked.teacher is None:
        keep(embedding_width(asked.teacher_recipe))
        trained = train_for_lab(of.teacher, data, of.run.command, go_on, onlookers)
        teacher = teacher_from(trained)
    else:
        asked, teacher = pinned_teacher(asked)
        of = dataclasses.replace(of, asked=asked)
        keep(embedding_length(teacher, data.image_shape))
    watch = onlookers.watching(of.run)
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
        f"{report.agreement(asked, numbers)}, same nearest neighbour "
        f"{numbers.nearest:.1%}, linear probe {numbers.student.probe:.2%} (teacher "
        f"{numbers.teacher.probe:.2%})"
    )

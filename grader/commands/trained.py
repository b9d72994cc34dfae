"""The commands ``eval`` and ``predict``: what a trained model can do."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grader.commands.running import errors_told, load, prepare_jax, quiet
from grader.commands.targets import UsageError

if TYPE_CHECKING:
    from solutions.training.runs import Run

_SIDE = 320
"""Pixels up to which small pictures are enlarged, by a whole number."""


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("eval", help="Test a trained model.")(evaluate)
    app.command("predict", help="Say what a trained model sees in images.")(predict)


def evaluate(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
    data: Annotated[
        str | None,
        typer.Option(help="Other images: a test part, or all of a folder."),
    ] = None,
) -> None:
    """Test the newest checkpoint of a run."""
    quiet()
    with errors_told():
        import numpy as np

        from solutions.training import evaluation, runs
        from solutions.training.data import load_test

        run = runs.read(run_folder)
        prepare_jax()
        if data is None:
            told = load(run.recipe, run, "test on others with --data FOLDER").tested
        else:
            size = run.recipe.image_size or _side(run)
            told = load_test(data, size, run.data_digest, run.recipe.data)
        images, labels, classes = told
        named = data or run.recipe.data
        if images.shape[-1] != run.image_shape[-1]:
            images = np.stack([evaluation.in_channels(i, run.image_shape[-1]) for i in images])
        if images.shape[1:] != run.image_shape:
            raise UsageError(
                f"{named} has images of {images.shape[1:]}; the run has {run.image_shape}"
            )
        if not set(classes) <= set(run.classes):
            raise UsageError(
                f"{named} has the classes {_listed(classes)}; {run_folder}/run.json "
                f"has {_listed(run.classes)}"
            )
        labels = np.array([run.classes.index(name) for name in classes])[labels]
        step, classifier = evaluation.of_run(run)
        probabilities = classifier.probabilities(images)
        right = int((probabilities.argmax(axis=1) == labels).sum())
        own = probabilities[np.arange(len(labels)), labels]
        loss = np.mean(-np.log(np.maximum(own, 1e-30))) + 0.0  # a zero without a sign
        count = len(labels)
        print(
            f"step {step}, on {named}: {right} of {count} right, {right / count:.2%}, "
            f"loss {loss:.4f}"
        )


def predict(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE…", help="Image files.")],
    out: Annotated[
        Path | None, typer.Option(help="Where the attention overlays go; beside the run else.")
    ] = None,
) -> None:
    """Class, probabilities, and where the model looked."""
    quiet()
    with errors_told():
        import numpy as np
        from PIL import Image

        from solutions.training import evaluation, figures, runs
        from solutions.training.data import BadData
        from solutions.training.disk import CannotSave, saving

        run = runs.read(run_folder)
        prepare_jax()
        _, classifier = evaluation.of_run(run)
        read: dict[Path, np.ndarray] = {}
        for path in images:
            try:
                read[path] = evaluation.read_image(path, run.image_shape)
            except BadData as error:  # the others are looked at all the same
                print(f"grader: {error}", file=sys.stderr)
        if not read:
            raise typer.Exit(2)
        probabilities = classifier.probabilities(np.stack(list(read.values())))
        folder = out or run.folder / "predictions"
        targets = _targets(folder, read)
        for (path, image), row, target in zip(read.items(), probabilities, targets, strict=True):
            best = np.argsort(-row)[:3]
            told = ", ".join(f"{run.classes[i]} {row[i]:.1%}" for i in best)
            print(f"{path}: {told}")
            seen = classifier.attention(image)
            if seen is not None:
                picture = Image.fromarray(figures.overlay(image, seen.mean(axis=0)))
                times = max(1, _SIDE // max(picture.size))
                picture = picture.resize((picture.width * times, picture.height * times), 0)
                try:
                    with saving(target):
                        folder.mkdir(parents=True, exist_ok=True)
                        picture.save(target)
                except CannotSave as error:
                    raise CannotSave(f"{error}; for another folder: --out FOLDER") from None
                print(f"  attention: {target}")
        if len(read) < len(set(images)):
            raise typer.Exit(2)


def _side(run: Run) -> int | None:
    """To which images are resized, where those of the run are square."""
    height, width, _ = run.image_shape
    return height if height == width else None


def _listed(classes: Sequence[str]) -> str:
    more = f", … ({len(classes)} in all)" if len(classes) > 5 else ""
    return ", ".join(classes[:5]) + more


def _targets(folder: Path, images: Iterable[Path]) -> list[Path]:
    """A file for the overlay of each image; a number tells files of the same name apart."""
    targets: list[Path] = []
    for path in images:
        target, count = folder / f"{path.stem}-attention.png", 1
        while target in targets:
            count += 1
            target = folder / f"{path.stem}-{count}-attention.png"
        targets.append(target)
    return targets

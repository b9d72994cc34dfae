"""``report.html``: what a person wants to see of a run, in one file that needs no other."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from solutions import page
from solutions.training import devices, figures
from solutions.training.data import Dataset
from solutions.training.disk import write_whole
from solutions.training.evaluation import Classifier
from solutions.training.loop import Line
from solutions.training.recipe import Recipe
from solutions.training.runs import Run

_ATTENTION_IMAGES = 4
_PAIRS = 12


def median_rate(history: Sequence[Line]) -> float:
    """Images per second of the training, the median over the epochs."""
    return float(np.median([line["images_per_second"] for line in history]))


def epochs(line: Line) -> str:
    """How many there were up to a line of ``metrics.jsonl``, in words."""
    return f"{line['epoch']:.0f} epoch{'' if line['epoch'] == 1 else 's'}"


def _title(recipe: str, data: str) -> str:
    """What was learnt, and by which recipe where that is called otherwise."""
    return data if data == recipe else f"{data} (recipe {recipe})"


def write(
    run: Run,
    history: Sequence[Line],
    classifier: Classifier,
    data: Dataset,
    notes: Sequence[str] = (),
) -> Path:
    """Write the report of a finished run into its folder.

    Args:
      run: what was done.
      history: the lines of ``metrics.jsonl``.
      classifier: what came out.
      data: the images to show it on.
      notes: lines to put under the title, e.g. whose answers were trained.

    Raises:
      CannotSave: it cannot be written.

    """
    with ThreadPoolExecutor(2) as pool:  # what takes long is to compile them
        attention = pool.submit(_attention_maps, classifier, data.test_images[:_ATTENTION_IMAGES])
        softmax = pool.submit(classifier.probabilities, data.test_images)
        curves = figures.curves(history)
    probabilities = softmax.result()
    predicted = probabilities.argmax(axis=1)
    last, count = history[-1], len(predicted)
    correct = round(last["test_accuracy"] * count)
    shown = int((predicted == data.test_labels).sum())
    rounding = "" if shown == correct else f"{shown} right: computed anew, and rounded elsewhere"
    parts = [
        page.heading(f"{_title(run.recipe.name, data.name)}: {last['test_accuracy']:.2%}"),
        page.note(
            f"{correct} of {count} test images of {data.name}, after {epochs(last)} in "
            f"{last['seconds']:.0f} s, compiling and testing included; "
            f"{median_rate(history):.0f} images/s while training"
        ),
        page.note(
            f"{len(data.train_images)} images to train on, seed {run.seed}, on {devices.told()}"
        ),
        *map(page.note, notes),
        page.command(run.command),
        _picture("Curves", _of_the_curves(run.recipe), curves),
        _picture(
            "Confusion", rounding, figures.confusion(data.test_labels, predicted, data.classes)
        ),
        _confused(data, predicted),
        _mistakes(data, probabilities),
        _attention(classifier, data, attention.result()),
        _positions(classifier),
        _table("Recipe", dataclasses.asdict(run.recipe)),
        _table("Versions", run.versions),
    ]
    path = run.folder / "report.html"
    write_whole(path, page.page(run.folder.name, parts))
    return path


def _picture(title: str, words: str, png: bytes) -> str:
    return page.section(title, words) + page.embedded(png, title)


def _of_the_curves(recipe: Recipe) -> str:
    """Why a loss in training may stay above that on the test images."""
    told = ["mixed images"] if recipe.mixup or recipe.cutmix else []
    told += ["smoothed labels"] if recipe.label_smoothing else []
    if not told:
        return ""
    return f"measured with {' and '.join(told)} in training, with plain ones in the test"


def _confused(data: Dataset, predicted: np.ndarray) -> str:
    """The commonest mistakes by name, where the matrix has too many classes to name them."""
    wrong = predicted != data.test_labels
    if len(data.classes) <= figures.NAMED_CLASSES or not wrong.any():
        return ""
    pairs = Counter(zip(data.test_labels[wrong].tolist(), predicted[wrong].tolist(), strict=True))
    of = np.bincount(data.test_labels)
    rows = {
        f"{data.classes[true]} taken for {data.classes[other]}": f"{count} of {of[true]}"
        for (true, other), count in pairs.most_common(_PAIRS)
    }
    return _table("Confused most often", rows)


def _mistakes(data: Dataset, probabilities: np.ndarray) -> str:
    png = figures.mistakes(data.test_images, data.test_labels, probabilities, data.classes)
    if png is None:
        return page.section("Worst mistakes", "none: every test image is right")
    words = "the wrong answers on test images that were given with the highest probability"
    return _picture("Worst mistakes", words, png)


def _attention_maps(classifier: Classifier, images: np.ndarray) -> list[np.ndarray]:
    return [found for found in map(classifier.attention, images) if found is not None]


def _attention(classifier: Classifier, data: Dataset, maps: list[np.ndarray]) -> str:
    images = data.test_images[:_ATTENTION_IMAGES]
    if len(maps) < len(images):
        return page.section("Attention", "this model does not show its weights")
    whose = "from the CLS token" if classifier.model.extra_tokens else "mean over the patches"
    words = f"attention of the last block to each patch, {whose}"
    return _picture("Attention", words, figures.attention(list(images), maps))


def _positions(classifier: Classifier) -> str:
    table = classifier.model.positions(classifier.params)
    words = (
        "cosine of each patch's position vector with those of all patches: a map for each patch, "
        "from -1 (dark) to 1 (bright)"
    )
    drawn = figures.positions(
        np.asarray(table), classifier.model.grid, classifier.model.extra_tokens
    )
    return _picture("Positions", words, drawn)


def _table(title: str, values: Mapping[str, object]) -> str:
    return page.section(title) + page.fields(values)

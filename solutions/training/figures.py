"""The pictures of the report, each as PNG bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from solutions import page
from solutions.training.loop import Line

_MISTAKES = 16
_LONGEST_NAME = 24
NAMED_CLASSES = 20
"""Up to so many have their names beside the confusion matrix, and their counts in it."""


def curves(history: Sequence[Line]) -> bytes:
    """Loss, accuracy and learning rate over the epochs."""
    figure = page.figure(11, 3.2)
    axes = figure.subplots(1, 3)
    size = 3 if len(history) > 1 else 12  # a single one has no line beside it
    dots = {"marker": ".", "markersize": size}
    for axis, name in zip(axes[:2], ("loss", "accuracy"), strict=True):
        for part in ("train", "test"):
            axis.plot(*_known(history, f"{part}_{name}"), label=part, **dots)
        axis.set_title(name)
        axis.legend()
    axes[2].plot(*_known(history, "learning_rate"), **dots)
    axes[2].set_title("learning rate")
    for axis in axes:
        axis.set_xlabel("epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
    return page.png(figure)


def _known(history: Sequence[Line], name: str) -> tuple[list[float], list[float]]:
    """The epochs with a value of this name, and the values; not every epoch is tested."""
    lines = [line for line in history if line.get(name) is not None]
    return [line["epoch"] for line in lines], [line[name] for line in lines]


def confusion(labels: np.ndarray, predicted: np.ndarray, classes: Sequence[str]) -> bytes:
    """How often each class was taken for which."""
    classes, count = [_short(name) for name in _literal(classes)], len(classes)
    table = np.zeros((count, count), int)
    np.add.at(table, (labels, predicted), 1)
    side = min(12.0, 2 + 0.45 * count)
    # Names stand around the matrix, whatever room they take.
    figure = page.figure(side, side, layout=None)
    axis = figure.subplots()
    axis.imshow(np.sqrt(table), cmap="Blues")
    if count <= NAMED_CLASSES:
        middle = np.sqrt(table.max()) / 2
        for i, j in np.ndindex(table.shape):
            if table[i, j]:
                color = "white" if np.sqrt(table[i, j]) > middle else "black"
                axis.text(j, i, table[i, j], ha="center", va="center", color=color, fontsize=8)
        axis.set_xticks(range(count), classes, rotation=60, ha="right")
        axis.set_yticks(range(count), classes)
    axis.set_xlabel("predicted")
    axis.set_ylabel("true")
    return page.png(figure)


def _short(name: str) -> str:
    """A name that leaves room for the picture that it stands beside."""
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _literal(names: Sequence[str]) -> list[str]:
    """Names in which Matplotlib sees no formulas: a class may be called ``$5-$10``."""
    return [name.replace("$", r"\$") for name in names]


def mistakes(
    images: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]
) -> bytes | None:
    """The wrong answers that were given with most confidence; None where there is none."""
    predicted, worst = probabilities.argmax(axis=1), most_confident_mistakes(labels, probabilities)
    if not len(worst):
        return None
    classes, worst = [_short(name) for name in _literal(classes)], worst[:_MISTAKES]
    columns = min(8, len(worst))
    rows = -(-len(worst) // columns)
    figure = page.figure(1.5 * columns, 1.9 * rows)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes:
        axis.axis("off")
    for axis, row in zip(axes, worst, strict=False):
        _show(axis, images[row])
        share = probabilities[row].max()
        said = f"{classes[predicted[row]]} ({share:.0%})\ntrue: {classes[labels[row]]}"
        axis.set_title(said, fontsize=8)
    return page.png(figure)


def most_confident_mistakes(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """The rows of the wrong answers, that of the highest probability first.

    Args:
      labels: true classes, (N,).
      probabilities: of each class, (N, K).

    """
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    confidence = probabilities[wrong].max(axis=1)
    return wrong[np.argsort(-confidence, kind="stable")]


def _show(axis: Any, image: np.ndarray) -> None:
    if image.shape[-1] == 1:
        axis.imshow(image[..., 0], cmap="gray", vmin=0, vmax=255)
    else:
        axis.imshow(image)


def attention(images: Sequence[np.ndarray], maps: Sequence[np.ndarray]) -> bytes:
    """Each image, the mean over the heads of the last block, and each of the first six heads."""
    heads = min(6, maps[0].shape[0])
    figure = page.figure(1.5 * (heads + 2), 1.6 * len(images))
    axes = figure.subplots(len(images), heads + 2, squeeze=False)
    for i, (line, image, found) in enumerate(zip(axes, images, maps, strict=True)):
        for axis in line:
            axis.axis("off")
        _show(line[0], image)
        line[1].imshow(overlay(image, found.mean(axis=0)))
        for axis, head in zip(line[2:], found[:heads], strict=True):
            axis.imshow(head, cmap="magma", vmin=0)
        if not i:
            names = ["image", "all heads", *(f"head {h + 1}" for h in range(heads))]
            for axis, name in zip(line, names, strict=True):
                axis.set_title(name, fontsize=8)
    return page.png(figure)


def overlay(image: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """An image (H, W, 3) uint8 on which the attention to each patch lies as colour."""
    from matplotlib import colormaps

    height, width = image.shape[:2]
    rows, columns = weights.shape
    most = weights.max() or 1.0  # none, where the CLS token looks at nothing but itself
    large = np.kron(weights / most, np.ones((height // rows, width // columns)))
    colours = colormaps["magma"](large)[..., :3] * 255
    base = np.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else image
    return np.round(0.45 * base + 0.55 * colours).astype(np.uint8)


def positions(table: np.ndarray, grid: tuple[int, int], extra_tokens: int) -> bytes:
    """The cosine of each patch's position vector with those of all patches, as a grid of grids.

    As in Dosovitskiy et al. 2021, arXiv 2010.11929, figure 7.
    """
    rows, columns = grid
    patches = table[-rows * columns :] if extra_tokens else table
    norms = np.linalg.norm(patches, axis=1, keepdims=True)
    unit = patches / np.maximum(norms, np.finfo(np.float32).tiny)  # zeros are like nothing
    cosines = (unit @ unit.T).reshape(rows, columns, rows, columns)
    step_y, step_x = -(-rows // 8), -(-columns // 8)
    chosen = cosines[::step_y, ::step_x]
    figure = page.figure(5, 5 * chosen.shape[0] / chosen.shape[1])
    axes = figure.subplots(*chosen.shape[:2], squeeze=False)
    for (i, j), axis in np.ndenumerate(axes):
        axis.imshow(chosen[i, j], vmin=-1, vmax=1, cmap="viridis")
        axis.axis("off")
    return page.png(figure)

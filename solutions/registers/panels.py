"""The pictures of the register lab's page: each function is a section, as pieces of HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool

from solutions import page
from solutions.registers import plots
from solutions.registers.boxes import Box, corloc
from solutions.registers.moments import Moment
from solutions.registers.norms import MAD_FACTOR, RATIO
from solutions.registers.study import Images, Study, Subject

_SHOWN = 7
_POINTS = 3000


@dataclass(frozen=True)
class Planted:
    """What was planted in a model: see `solutions.registers.planted.plant`.

    Attributes:
      layer: the first layer (blocks passed) whose tokens have it.
      tokens: (b, N), which patch tokens of the test images are overwritten.

    """

    layer: int
    tokens: Bool[np.ndarray, "b N"]


@dataclass(frozen=True)
class Examined:
    """One model of the lab.

    Attributes:
      subject: the model.
      study: what was found.
      images: what it was examined on.
      moments: the short examination at steps of its training.
      accuracy: on its test images, as its training says; NaN where it does not.
      statistics: mean and standard deviation of each channel, to show the images.
      planted: what was planted in it; None in a model as it was trained.

    """

    subject: Subject
    study: Study
    images: Images
    moments: tuple[Moment, ...]
    accuracy: float
    statistics: tuple[tuple[float, ...], tuple[float, ...]]
    planted: Planted | None = None

    def pixels(self, images: np.ndarray) -> np.ndarray:
        """Normalised images as values from 0 to 1."""
        mean, std = (np.asarray(values) for values in self.statistics)
        return np.clip((images * std + mean) / 255, 0, 1)


def norm_maps(pair: Sequence[Examined], planted: Examined) -> list[str]:
    """The norms after the last block on a few images, a row for every model."""
    shown = [*pair, planted]
    chosen = np.argsort(-planted.study.outliers.sum(axis=1), kind="stable")[:_SHOWN]
    ratios = [one.study.norms[-1, chosen] / one.study.summaries[-1].median for one in shown]
    low = min(float(values.min()) for values in ratios)
    high = min(RATIO, max(float(values.max()) for values in ratios[:-1]) + 0.1)
    figure, axes = page.images(1 + len(shown), len(chosen), 1.3, titles=False)
    for axis, image in zip(axes[0], pair[0].pixels(pair[0].images.test[chosen]), strict=True):
        axis.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=1)
    for line, one, values in zip(axes[1:], shown, ratios, strict=True):
        for axis, norms in zip(line, values, strict=True):
            drawn = axis.imshow(norms.reshape(one.subject.grid), cmap="magma", vmin=low, vmax=high)
    for line, name in zip(axes, ("image", *(one.study.name for one in shown)), strict=True):
        line[0].set_ylabel(name, fontsize=9)
    figure.colorbar(drawn, cax=figure.add_axes((1.01, 0.2, 0.012, 0.6)), label="norm / median")
    return [
        page.section(
            "Norms on the images",
            "of the patch tokens after the last block, as multiples of the median of each model; "
            f"{high:.2f} and more is the brightest; the images with most high-norm tokens in "
            f"{planted.study.name}",
        ),
        page.picture(figure, "norms of patch tokens on images"),
    ]


def _beside(pair: Sequence[Examined], height: float, **shared: Any) -> tuple[Any, Any]:
    figure = page.figure(5.2 * len(pair), height)
    return figure, figure.subplots(1, len(pair), squeeze=False, **shared)[0]


def norms(pair: Sequence[Examined]) -> list[str]:
    """Median and maximum by layer, and how the norms of three layers spread."""
    by_layer, axes = _beside(pair, 3.2, sharey=True)
    for axis, one in zip(axes, pair, strict=True):
        plots.show_norms_by_layer(axis, one.study.norms)
        axis.set_title(one.study.name)
    spread, axes = _beside(pair, 3.2, sharex=True, sharey=True)
    for axis, one in zip(axes, pair, strict=True):
        for layer in (0, len(one.study.summaries) // 2, len(one.study.summaries) - 1):
            plots.show_norms(axis, one.study.summaries[layer], f"after {layer} blocks")
        axis.set_title(one.study.name)
        axis.legend(fontsize=8)
    return [
        page.section("Norms by layer", "line: median, dots: maximum; below, how they spread"),
        page.picture(by_layer, "norms by layer"),
        page.picture(spread, "histograms of norms"),
    ]


def neighbours(pair: Sequence[Examined]) -> list[str]:
    """Likeness of a patch to its neighbours against its final norm."""
    figure, axes = _beside(pair, 3.4, sharex=True, sharey=True)
    words = []
    for axis, one in zip(axes, pair, strict=True):
        study = one.study
        likeness, norms = study.cosine.ravel(), study.norms[-1].ravel()
        some = np.random.default_rng(0).permutation(norms.size)[:_POINTS]
        plots.show_neighbour_cosine(axis, likeness[some], norms[some], study.outliers.ravel()[some])
        axis.set_title(study.name)
        words.append(f"{study.name}: correlation {study.likeness:+.2f}")
    return [
        page.section(
            "Likeness to the neighbours",
            "in the paper artefacts stand where a patch is like the patches around it. "
            + "; ".join(words),
        ),
        page.picture(figure, "cosine with neighbours against final norm"),
    ]


def attention(pair: Sequence[Examined]) -> list[str]:
    """Entropy and maximum of CLS attention by block and head."""
    if any(one.study.attention is None for one in pair):
        return [page.section("CLS attention", "not every model here has a CLS token")]
    figure = page.figure(5.2 * len(pair), 5.6)
    axes = figure.subplots(2, len(pair), squeeze=False, sharey="row")
    for (above, below), one in zip(axes.T, pair, strict=True):
        seen = one.study.attention
        assert seen is not None
        plots.show_class_attention(above, seen, one.study.norms.shape[-1])
        above.set_title(one.study.name)
        plots.show_class_maximum(below, seen)
    return [
        page.section(
            "CLS attention",
            "among the patches, by block; a dot for each head, the line is their mean, dotted the "
            "entropy of even attention; below, the largest share that one patch has",
        ),
        page.picture(figure, "entropy and maximum of CLS attention by block and head"),
    ]


def heads(pair: Sequence[Examined]) -> list[str]:
    """What CLS attends to on one image, for every block and head."""
    if any(one.study.cls_maps is None for one in pair):
        return []
    parts = [
        page.section(
            "What each head's CLS attends to",
            "one image: a row for each block, a column for each head, each map on its own scale",
        )
    ]
    figure = page.figure(5.2 * len(pair), 4.6)
    for panel, one in zip(np.ravel(figure.subfigures(1, len(pair))), pair, strict=True):
        maps = one.study.cls_maps
        assert maps is not None
        panel.suptitle(one.study.name)
        rows, columns = one.subject.grid
        depth, _, heads, _ = maps.shape
        axes = panel.subplots(depth, heads, squeeze=False)
        for (layer, head), axis in np.ndenumerate(axes):
            seen = maps[layer, 0, head].reshape(rows, columns)
            axis.imshow(seen, cmap="magma", vmin=0)
            axis.set(xticks=[], yticks=[])
    return [*parts, page.picture(figure, "CLS attention by block and head")]


def layers(models: Sequence[Examined]) -> list[str]:
    """Probes on all patch tokens, and CorLoc, by layer."""
    figure = page.figure(11, 5.6)
    axes = figure.subplots(2, 2).ravel()
    for one in models:
        study = one.study
        layers = np.arange(len(study.by_layer))
        for axis, values in zip(axes, study.by_layer.T, strict=False):
            axis.plot(layers, values, ".-", label=study.name)
        axes[3].plot(layers[1:], study.located.biased, ".-", label=study.name)
    titles = (
        *("error of the pixel probe", "class from one patch token"),
        *("position named", "CorLoc of the keys"),
    )
    for axis, title in zip(axes, titles, strict=True):
        axis.set(title=title, xlabel="blocks passed", xticks=layers)
        axis.set_ylim(bottom=0, top=1.05 if title == "position named" else None)
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=8)
    return [
        page.section("Probes and boxes by layer", "on all patch tokens"),
        page.picture(figure, "probes and CorLoc by layer"),
    ]


def boxes(pair: Sequence[Examined]) -> list[str]:
    """Found and true boxes on canvases, with CorLoc and what chance gives."""
    count = 6
    figure, axes = page.images(len(pair), count, 1.6, titles=False)
    words = []
    for line, one in zip(axes, pair, strict=True):
        found, images = one.study.located, one.images
        for i, axis in enumerate(line):
            axis.imshow(one.pixels(images.canvases[i]).squeeze(), cmap="gray", vmin=0, vmax=1)
            plots.show_box(axis, images.boxes[i], "limegreen")
            plots.show_box(axis, found.found[i], "tomato")
        line[0].set_ylabel(one.study.name)
        words.append(
            f"{one.study.name}: CorLoc {found.biased[-1]:.0%} with the bias chosen on other "
            f"canvases, {found.plain[-1]:.0%} without"
        )
    chance = corloc(_anywhere(pair[0].images), pair[0].images.boxes)
    return [
        page.section(
            "An object without labels",
            "LOST with the keys of the last block (red) on digits whose box is known (green). "
            + "; ".join(words)
            + f"; boxes of the true size at random places: {chance:.0%}",
        ),
        page.picture(figure, "found and true boxes"),
    ]


def _anywhere(images: Images) -> list[Box]:
    """For each canvas a box of the true size, somewhere."""
    generator = np.random.default_rng(0)
    height, width = images.canvases.shape[1:3]
    boxes = []
    for top, left, bottom, right in images.boxes:
        h, w = bottom - top, right - left
        y, x = int(generator.integers(height - h + 1)), int(generator.integers(width - w + 1))
        boxes.append((y, x, y + h, x + w))
    return boxes


def training(models: Sequence[Examined]) -> list[str]:
    """The short examination over the steps of the training."""
    if max(len(one.moments) for one in models) < 2:
        return [page.section("Over the training", "only one checkpoint was kept")]
    figure = page.figure(11, 8.2)
    axes = figure.subplots(3, 3).ravel()
    names = (
        *("median", "max_over_median", "share_above_mad", "likeness", "entropy", "maximum"),
        *("pixels", "label", "corloc"),
    )
    titles = (
        *("median norm", "largest norm / median", f"share above median + {MAD_FACTOR:g} MAD"),
        *("norm and likeness to neighbours (r)", "CLS entropy (nats)", "CLS maximum"),
        *("error of the pixel probe", "class from one patch token", "CorLoc"),
    )
    for axis, name, title in zip(axes, names, titles, strict=True):
        for one in models:
            steps = [moment.step for moment in one.moments]
            values = [getattr(moment, name) for moment in one.moments]
            axis.plot(steps, values, ".-", label=one.study.name)
        axis.set(title=title, xlabel="step")
        axis.grid(alpha=0.3)
    axes[names.index("share_above_mad")].set_ylim(bottom=0)
    axes[0].legend(fontsize=8)
    return [
        page.section("Over the training", "after the last block, from the checkpoints"),
        page.picture(figure, "norms, CLS attention, probes and CorLoc by step"),
    ]


def planted(made: Examined, clean: Examined) -> list[str]:
    """Norms by layer before and after high-norm tokens were planted."""
    figure, axes = _beside([clean, made], 3.2, sharey=True)
    for axis, one in zip(axes, (clean, made), strict=True):
        plots.show_norms_by_layer(axis, one.study.norms)
        axis.set_title(one.study.name)
        axis.set_yscale("log")
    before, after = clean.study.located.biased[-1], made.study.located.biased[-1]
    return [
        page.section(
            "The instruments on a planted case",
            f"two neurons of {clean.study.name} were rewritten (solutions/registers/planted.py), "
            "so that a few patch tokens are overwritten with one long vector. Flagged layers: "
            f"{', '.join(map(str, made.study.flagged)) or 'none'}, against "
            f"{', '.join(map(str, clean.study.flagged)) or 'none'} before; CorLoc {after:.0%}, "
            f"against {before:.0%}. This was made, not found.",
        ),
        page.picture(figure, "norms by layer, clean and planted"),
    ]

"""The register lab's page: models beside each other, and what was found, or that nothing was."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from solutions import page
from solutions.registers import plots
from solutions.registers.boxes import Box, corloc
from solutions.registers.norms import MAD_FACTOR, RATIO
from solutions.registers.study import LARGEST_SHARE, Images, Moment, Study, Subject

_SHOWN = 4
_POINTS = 3000


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

    """

    subject: Subject
    study: Study
    images: Images
    moments: tuple[Moment, ...]
    accuracy: float
    statistics: tuple[tuple[float, ...], tuple[float, ...]]

    def pixels(self, images: np.ndarray) -> np.ndarray:
        """Normalised images as values from 0 to 1."""
        mean, std = (np.asarray(values) for values in self.statistics)
        return np.clip((images * std + mean) / 255, 0, 1)


def write(
    folder: Path, models: Sequence[Examined], planted: Examined, clean: Examined, command: str
) -> Path:
    """Write ``report.html``.

    Args:
      folder: where.
      models: the models, the one with fewest registers first. The pictures show the first and
        the last beside each other, tables and curves show all.
      planted: a model made to have high-norm tokens, from ``clean``.
      clean: the model that it was made of.
      command: what was typed.

    """
    pair = [models[0]] if len(models) == 1 else [models[0], models[-1]]
    parts = [
        page.heading("Registers: what becomes of the patch tokens"),
        page.command(command),
        *map(page.note, findings(models, planted)),
        *_overview([*models, planted]),
        *_norm_maps(pair, planted),
        *_norms(pair),
        *_neighbours(pair),
        *_attention(pair),
        *_heads(pair),
        *_probes([*models, planted]),
        *_layers(models),
        *_boxes(pair),
        *_training(models),
        *_planted(planted, clean),
    ]
    path = folder / "report.html"
    path.write_text(page.page(folder.name, parts), encoding="utf-8")
    return path


def findings(models: Sequence[Examined], planted: Examined) -> list[str]:
    """What was found, in sentences that follow from the numbers; a null result is said."""
    limit = f"above median + {MAD_FACTOR:g} MAD and {RATIO:g} times the median"
    lines = []
    for one in models:
        study, last = one.study, one.study.summaries[-1]
        largest = f"the largest norm is {last.max_over_median:.2f} times the median"
        if study.flagged:
            where = ", ".join(map(str, study.flagged))
            lines.append(
                f"{study.name}: high-norm patch tokens after block {where}; after the last, "
                f"{study.outliers.mean():.2%} of the tokens, {largest}."
            )
        else:
            lines.append(
                f"{study.name}: no high-norm patch token ({limit}) after any block; after the "
                f"last, {largest}."
            )
    if not any(one.study.flagged for one in models):
        lines.append(
            "So there is nothing here for registers to remove: a null result. Darcet et al. "
            "(arXiv 2309.16588) report the artefacts for large models that were trained for long."
        )
    elif not models[0].study.flagged or models[-1].study.flagged:
        lines.append("So these models do not show that registers remove high-norm tokens.")
    seen = "are flagged" if planted.study.flagged else "are NOT flagged, so do not trust the rest"
    lines.append(f"Planted high-norm tokens ({planted.study.name}) {seen}.")
    return lines


def _overview(models: Sequence[Examined]) -> list[str]:
    rows = []
    for one in models:
        study, last = one.study, one.study.summaries[-1]
        seen = study.attention
        rows.append(
            (
                study.name,
                _number(one.accuracy, ".2%"),
                f"{last.median:.2f}",
                f"{last.max_over_median:.2f}",
                f"{last.share_above_mad:.2%}",
                f"{study.outliers.mean():.2%}",
                ", ".join(map(str, study.flagged)) or "none",
                "–" if seen is None else f"{seen.entropy[-1].mean():.2f}",
                "–" if seen is None else f"{seen.on_registers[-1].mean():.1%}",
                f"{study.located.biased[-1]:.0%}",
            )
        )
    patches = models[0].study.norms.shape[-1]
    header = (
        *("", "test accuracy", "median norm", "max / median", f"> median + {MAD_FACTOR:g} MAD"),
        *("high norm", "flagged layers", "CLS entropy", "CLS on registers", "CorLoc"),
    )
    return [
        page.section(
            "All models",
            "after the last block, on test images; entropy in nats, mean over heads (at most "
            f"{math.log(patches):.2f}); CorLoc with the keys of the last block",
        ),
        page.table(rows, header),
    ]


def _norm_maps(pair: Sequence[Examined], planted: Examined) -> list[str]:
    shown = [*pair, planted]
    ratios = [one.study.norms[-1, :_SHOWN] / one.study.summaries[-1].median for one in shown]
    low = min(float(values.min()) for values in ratios)
    high = min(RATIO, max(float(values.max()) for values in ratios[:-1]) + 0.1)
    figure, axes = page.images(_SHOWN, 1 + len(shown), 1.6)
    for i, line in enumerate(axes):
        image = pair[0].pixels(pair[0].images.test[i])
        line[0].imshow(image.squeeze(), cmap="gray", vmin=0, vmax=1)
        for axis, one, values in zip(line[1:], shown, ratios, strict=True):
            grid = values[i].reshape(one.subject.grid)
            drawn = axis.imshow(grid, cmap="magma", vmin=low, vmax=high)
            if not i:
                axis.set_title(one.study.name, fontsize=9)
    axes[0, 0].set_title("image", fontsize=9)
    figure.colorbar(drawn, ax=axes, label="norm / median", shrink=0.6, pad=0.02)
    return [
        page.section(
            "Norms on the images",
            "of the patch tokens after the last block, as multiples of the median of each model; "
            f"{high:.2f} and more is the brightest",
        ),
        page.picture(figure, "norms of patch tokens on images"),
    ]


def _beside(pair: Sequence[Examined], height: float, **shared: Any) -> tuple[Any, Any]:
    figure = page.figure(5.2 * len(pair), height)
    return figure, figure.subplots(1, len(pair), squeeze=False, **shared)[0]


def _norms(pair: Sequence[Examined]) -> list[str]:
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


def _neighbours(pair: Sequence[Examined]) -> list[str]:
    figure, axes = _beside(pair, 3.4, sharex=True, sharey=True)
    words = []
    for axis, one in zip(axes, pair, strict=True):
        study = one.study
        likeness, norms = study.cosine.ravel(), study.norms[-1].ravel()
        some = np.random.default_rng(0).permutation(norms.size)[:_POINTS]
        plots.show_neighbour_cosine(axis, likeness[some], norms[some], study.outliers.ravel()[some])
        axis.set_title(study.name)
        words.append(f"{study.name}: correlation {np.corrcoef(likeness, norms)[0, 1]:+.2f}")
    return [
        page.section(
            "Likeness to the neighbours",
            "in the paper artefacts stand where a patch is like the patches around it. "
            + "; ".join(words),
        ),
        page.picture(figure, "cosine with neighbours against final norm"),
    ]


def _attention(pair: Sequence[Examined]) -> list[str]:
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


def _heads(pair: Sequence[Examined]) -> list[str]:
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


def _probes(models: Sequence[Examined]) -> list[str]:
    rows = []
    for one in models:
        for kind, found in one.study.probes.items():
            rows.append(
                (
                    f"{one.study.name}, {kind}",
                    found.tokens,
                    _number(found.position.accuracy, ".1%"),
                    _number(found.position.distance, ".2f"),
                    _number(found.pixels, ".2f"),
                    _number(found.label, ".1%"),
                )
            )
    patches = models[0].study.norms.shape[-1]
    return [
        page.section(
            "What can be read from a token",
            "linear probes after the last block. “Largest” are the "
            f"{LARGEST_SHARE:.0%} of tokens with the largest norms, whether or not they stick out; "
            f"– is said of kinds that do not occur. Position by chance {1 / patches:.1%}; pixels "
            f"of the mean patch {models[0].study.mean_patch:.2f}",
        ),
        page.table(
            rows,
            ("", "tokens", "position named", "off by (patches)", "pixel error", "class from one"),
        ),
    ]


def _layers(models: Sequence[Examined]) -> list[str]:
    figure = page.figure(11, 3.1)
    axes = figure.subplots(1, 3)
    for one in models:
        study = one.study
        layers = np.arange(len(study.by_layer))
        axes[0].plot(layers, study.by_layer[:, 0], ".-", label=study.name)
        axes[1].plot(layers, study.by_layer[:, 1], ".-", label=study.name)
        axes[2].plot(layers[1:], study.located.biased, ".-", label=study.name)
    titles = ("error of the pixel probe", "class from one patch token", "CorLoc of the keys")
    for axis, title in zip(axes, titles, strict=True):
        axis.set(title=title, xlabel="blocks passed", xticks=layers)
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=8)
    return [
        page.section("Probes and boxes by layer", "on all patch tokens"),
        page.picture(figure, "probes and CorLoc by layer"),
    ]


def _boxes(pair: Sequence[Examined]) -> list[str]:
    count = 6
    figure, axes = page.images(len(pair), count, 1.6)
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


def _training(models: Sequence[Examined]) -> list[str]:
    if max(len(one.moments) for one in models) < 2:
        return [page.section("Over the training", "only one checkpoint was kept")]
    figure = page.figure(11, 5.6)
    axes = figure.subplots(2, 3).ravel()
    names = ("median", "max_over_median", "share_above_mad", "entropy", "maximum", "corloc")
    titles = (
        *("median norm", "largest norm / median", f"share above median + {MAD_FACTOR:g} MAD"),
        *("CLS entropy (nats)", "CLS maximum", "CorLoc"),
    )
    for axis, name, title in zip(axes, names, titles, strict=True):
        for one in models:
            steps = [moment.step for moment in one.moments]
            values = [getattr(moment, name) for moment in one.moments]
            axis.plot(steps, values, ".-", label=one.study.name)
        axis.set(title=title, xlabel="step")
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=8)
    return [
        page.section("Over the training", "after the last block, from the checkpoints"),
        page.picture(figure, "norms, CLS attention and CorLoc by step"),
    ]


def _planted(planted: Examined, clean: Examined) -> list[str]:
    figure, axes = _beside([clean, planted], 3.2, sharey=True)
    for axis, one in zip(axes, (clean, planted), strict=True):
        plots.show_norms_by_layer(axis, one.study.norms)
        axis.set_title(one.study.name)
        axis.set_yscale("log")
    before, after = clean.study.located.biased[-1], planted.study.located.biased[-1]
    return [
        page.section(
            "The instruments on a planted case",
            f"two neurons of {clean.study.name} were rewritten (solutions/registers/planted.py), "
            "so that a few patch tokens are overwritten with one long vector. Flagged layers: "
            f"{', '.join(map(str, planted.study.flagged)) or 'none'}, against "
            f"{', '.join(map(str, clean.study.flagged)) or 'none'} before; CorLoc {after:.0%}, "
            f"against {before:.0%}. This was made, not found.",
        ),
        page.picture(figure, "norms by layer, clean and planted"),
    ]


def _number(value: float, form: str) -> str:
    return "–" if math.isnan(value) else format(value, form)

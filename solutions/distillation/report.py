"""``report.html`` of a distillation: what the student has learned of its teacher."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from solutions import page
from solutions.distillation import plots
from solutions.distillation.folder import DistillationRun
from solutions.distillation.measure import Comparison, Embedded, compare, embed_both
from solutions.distillation.objectives import NEED_CLASSES, curve_names, words_of
from solutions.distillation.pictures import resize_grid
from solutions.distillation.retrieval import class_prototypes
from solutions.distillation.run import Distilled
from solutions.distillation.settings import Distillation
from solutions.distillation.views import (
    Search,
    patch_similarity,
    pooling_maps,
    search,
    teacher_maps,
)
from solutions.training.disk import write_whole
from solutions.training.report import median_rate

_IMAGES = 5
_PATCHES = 6
_FOUND = 8
_CLASSES = 3

Queries = Mapping[str, Float[np.ndarray, " D"]]


def write(
    of: DistillationRun, distilled: Distilled, queries: Queries | None = None
) -> tuple[Path, Comparison]:
    """Write the report of a finished distillation, and its numbers as ``comparison.json``.

    Args:
      of: its folder.
      distilled: what came out.
      queries: embeddings (D,) in the teacher's space to search with, by name; class prototypes
        are searched with in any case.

    Returns:
      The path of the report, and the numbers in it.

    Raises:
      CannotSave: it cannot be written.

    """
    found = embed_both(distilled)
    numbers = compare(distilled, found)
    searches = _searches(distilled, found, queries or {})
    parts = [
        *_opening(of, distilled, numbers),
        *_curves(distilled),
        *_numbers(distilled, numbers),
        *_where(distilled, found),
        *_search(searches, found, distilled),
        *_similarity(distilled, found, searches),
        page.section("Settings"),
        page.fields(_settings(distilled)),
        page.section("Versions"),
        page.fields({"seed": of.run.seed, **of.run.versions}),
    ]
    path = of.run.folder / "report.html"
    write_whole(path, page.page(of.run.folder.name, parts))
    told = json.dumps(dataclasses.asdict(numbers), indent=1)
    write_whole(of.run.folder / "comparison.json", told + "\n")
    return path, numbers


def _opening(of: DistillationRun, distilled: Distilled, numbers: Comparison) -> list[str]:
    last = distilled.history[-1]
    asked = distilled.asked
    teacher = asked.teacher or f"trained on the spot ({of.teacher.folder.name}/)"
    if asked.teacher_step is not None:
        teacher += f", step {asked.teacher_step}"
    return [
        page.heading(f"{of.run.recipe.name}: {agreement(asked, numbers)}"),
        page.note(
            f"{len(distilled.data.train_images)} images of {distilled.data.name}, "
            f"{last['epoch']:.0f} epochs, {last['seconds']:.0f} s of training at "
            f"{median_rate(distilled.history):.0f} images/s; teacher: {teacher}"
        ),
        page.command(of.run.command),
    ]


def agreement(asked: Distillation, numbers: Comparison) -> str:
    """How well student and teacher agree in what the loss asks for, in words."""
    if asked.loss in NEED_CLASSES and numbers.same_class is not None:
        return f"the teacher's class for {numbers.same_class:.1%} of the test images"
    return f"cosine with the teacher {numbers.cosine:.3f}"


def _same_class(numbers: Comparison) -> list[tuple[str, str, str]]:
    known = numbers.same_class
    return [] if known is None else [("same class as the teacher", f"{known:.1%}", "")]


def _curves(distilled: Distilled) -> list[str]:
    figure = page.figure(11, 3.1)
    loss, cosine, rate = figure.subplots(1, 3)

    def draw(axes: object, name: str, label: str) -> None:
        tested = [line for line in distilled.history if line[name] is not None]
        epochs, values = ([line[key] for line in tested] for key in ("epoch", name))
        axes.plot(epochs, values, label=label, marker="." if len(epochs) < 3 else "")  # type: ignore[attr-defined]

    for part, name in zip(("train", "test"), curve_names(distilled.asked), strict=True):
        draw(loss, f"{part}_loss", name)
    draw(cosine, "test_cosine", "test")
    draw(rate, "learning_rate", "")
    loss.legend()
    titles = ("loss", "cosine with the teacher (test)", "learning rate")
    for axes, title in zip((loss, cosine, rate), titles, strict=True):
        axes.set(title=title, xlabel="epoch")
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    return [
        page.section("Curves", f"loss: {words_of(distilled.asked)}"),
        page.picture(figure, "loss, cosine and learning rate by epoch"),
    ]


def _numbers(distilled: Distilled, numbers: Comparison) -> list[str]:
    student, teacher = numbers.student, numbers.teacher
    k = numbers.neighbours_asked
    return [
        page.section("Student and teacher", f"on {numbers.test_images} test images"),
        page.table(
            [
                ("test loss", f"{distilled.history[-1]['test_loss']:.4f}", ""),
                ("mean cosine", f"{numbers.cosine:.4f}", ""),
                *_same_class(numbers),
                ("same nearest neighbour", f"{numbers.nearest:.1%}", ""),
                (
                    f"shared among {k} nearest",
                    f"{numbers.neighbours:.1%}",
                    f"by chance {numbers.chance:.1%}",
                ),
                (
                    f"linear probe, fitted to {numbers.probe_images}",
                    f"{student.probe:.2%}",
                    f"{teacher.probe:.2%}",
                ),
                ("parameters", f"{student.parameters:,}", f"{teacher.parameters:,}"),
                (
                    "images/s, forward",
                    f"{student.images_per_second:.0f}",
                    f"{teacher.images_per_second:.0f}",
                ),
            ],
            ("", "student", "teacher"),
        ),
    ]


def _where(distilled: Distilled, found: Embedded) -> list[str]:
    rows = _one_of_each(found.labels, _IMAGES)
    images = found.images[rows]
    shown = _shown(images)
    ours, theirs = pooling_maps(distilled, images), teacher_maps(distilled.teacher, images)
    cls = distilled.teacher.rows is not None and distilled.teacher.rows.cls is not None
    seen = (
        "attention of the teacher's CLS token" if cls else "attention among the teacher's patches"
    )
    maps: list[tuple[str, np.ndarray]] = [(f"student {_size(ours)}", ours)]
    if theirs is not None:
        if theirs.shape != ours.shape:
            moved = np.stack([resize_grid(one, theirs.shape[1:]) for one in ours])
            maps.append((f"… as {_size(theirs)}", moved))
        maps.append((f"teacher {_size(theirs)}", theirs))
    first = 2 + len(maps)
    figure, axes = page.images(len(images), first + _PATCHES, 1.2)
    for i, line in enumerate(axes):
        plots.show_image(line[0], shown[i])
        plots.show_overlay(line[1], shown[i], ours[i])
        for drawn, (_, values) in zip(line[2:], maps, strict=False):
            plots.show_map(drawn, shown[i], values[i], limits=(0, float(values[i].max())))
        plots.show_top_patches(line[first:], shown[i], ours[i])
        for drawn in line[first:]:
            drawn.title.set_fontsize(8)
            drawn.set_axis_on()
            drawn.spines[:].set_color("0.6")
    titles = ["image", "student", *(title for title, _ in maps)]
    for drawn, title in zip(axes[0], titles, strict=False):
        drawn.set_title(title, fontsize=8)
    return [
        page.section(
            "Where they look",
            f"the student's pooling probabilities, as brightness and as colour, {seen} in its last "
            "block, and the patches with the largest probabilities",
        ),
        page.picture(figure, "overlays of student and teacher, and the most attended patches"),
    ]


def _size(maps: np.ndarray) -> str:
    return f"{maps.shape[1]}×{maps.shape[2]}"


def _searches(distilled: Distilled, found: Embedded, queries: Queries) -> list[Search]:
    """A few classes and the given queries, asked in the teacher's space."""
    known = np.unique(found.train_labels)
    compact = np.searchsorted(known, found.train_labels)
    prototypes = class_prototypes(found.train_teacher, compact)
    searches = [
        search(
            f"class {distilled.data.classes[known[k]]}",
            prototypes[k],
            found.student,
            found.teacher,
            int(known[k]),
        )
        for k in range(min(_CLASSES, len(known)))
    ]
    return searches + [
        search(name, query, found.student, found.teacher) for name, query in queries.items()
    ]


def _search(searches: Sequence[Search], found: Embedded, distilled: Distilled) -> list[str]:
    count = min(_FOUND, len(found.images))
    figure, axes = page.images(2 * len(searches), count + 1, 1.15)
    shown = _shown(found.images)
    rows = []
    for i, one in enumerate(searches):
        for line, name, ranking in (
            (axes[2 * i], "student", one.student),
            (axes[2 * i + 1], "teacher", one.teacher),
        ):
            line[0].set_axis_off()
            line[0].text(0.5, 0.5, f"{one.name}\n{name}", ha="center", va="center", fontsize=8)
            plots.show_ranking(line[1:], shown, ranking)
            for axes_of, row in zip(line[1:], ranking.order, strict=False):
                right = one.label is None or found.labels[row] == one.label
                axes_of.title.set_fontsize(8)
                axes_of.title.set_color("black" if right else "firebrick")
        rows.append(
            (
                one.name,
                _precision(one.student.order[:count], one.label, found.labels),
                _precision(one.teacher.order[:count], one.label, found.labels),
                f"{one.shared(count):.0%}",
            )
        )
    return [
        page.section(
            "Search",
            "test images by their cosine with a query in the teacher's space (the mean direction "
            "of a class of training images, or a given embedding); red where the class is another",
        ),
        page.picture(figure, "the best images for each query, by student and teacher"),
        page.table(rows, ("query", f"right of {count}: student", "teacher", "shared")),
    ]


def _precision(order: np.ndarray, label: int | None, labels: np.ndarray) -> str:
    return "" if label is None else str(int((labels[order] == label).sum()))


def _similarity(distilled: Distilled, found: Embedded, searches: Sequence[Search]) -> list[str]:
    images = found.images[_one_of_each(found.labels, _IMAGES)]
    shown = _shown(images)
    maps = [patch_similarity(distilled, one.query, images) for one in searches]
    limit = max(float(np.abs(values).max()) for values in maps)
    figure, axes = page.images(len(searches), len(images) + 1, 1.4, titles=False)
    for line, one, values in zip(axes, searches, maps, strict=True):
        line[0].set_axis_off()
        line[0].text(0.5, 0.5, one.name, ha="center", va="center", fontsize=9)
        for drawn, image, grid in zip(line[1:], shown, values, strict=True):
            plots.show_map(drawn, image, grid, limits=(-limit, limit))
    return [
        page.section(
            "Patches and queries",
            f"cosine of each of the student's patches with the query, from −{limit:.2f} (dark "
            f"blue) to {limit:.2f} (yellow)",
        ),
        page.picture(figure, "similarity of patches with each query"),
    ]


def _settings(distilled: Distilled) -> dict[str, object]:
    told = dataclasses.asdict(distilled.asked)
    recipe = told.pop("recipe")
    teacher = told.pop("teacher_recipe")
    if distilled.asked.teacher is None:
        told["teacher"] = ", ".join(f"{k} {v}" for k, v in teacher.items())
    return {name: value for name, value in {**told, **recipe}.items() if value is not None}


def _one_of_each(labels: np.ndarray, count: int) -> np.ndarray:
    """Rows of ``count`` images, of different classes as far as there are so many."""
    _, first = np.unique(labels, return_index=True)
    rest = np.setdiff1d(np.arange(len(labels)), first)
    return np.concatenate([first, rest])[:count]


def _shown(images: np.ndarray) -> np.ndarray:
    return images.astype(np.float32) / 255

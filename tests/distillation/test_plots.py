"""The plots draw the arrays that they are given, in the place where they belong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from solutions.distillation import plots
from solutions.distillation.pictures import overlay
from solutions.distillation.retrieval import rank
from solutions.registers import plots as register_plots
from solutions.registers.class_attention import ClassAttention
from solutions.registers.norms import summarise

Figure: Any = pytest.importorskip("matplotlib.figure").Figure

IMAGE = np.random.default_rng(0).random((4, 6, 3))
GRID = np.array([[0.1, 0.2, 0.1], [0.1, 0.4, 0.1]])


def axes(count: int = 1) -> Any:
    row = Figure().subplots(1, count, squeeze=False)[0]
    return row[0] if count == 1 else row


def shown(axes: Any) -> list[np.ndarray]:
    return [np.asarray(image.get_array()) for image in axes.get_images()]


def test_image_and_overlay() -> None:
    drawn = axes()
    plots.show_overlay(drawn, IMAGE, GRID, "here")
    np.testing.assert_allclose(shown(drawn)[0], overlay(IMAGE, GRID))
    assert drawn.get_title() == "here"
    grey = axes()
    plots.show_image(grey, IMAGE[..., :1])
    assert shown(grey)[0].shape == (4, 6)
    assert grey.get_images()[0].get_clim() == (0, 1)


def test_a_map_lies_over_the_image() -> None:
    drawn = axes()
    plots.show_map(drawn, IMAGE, GRID - 0.3, limits=(-1, 1))
    below, above = shown(drawn)
    np.testing.assert_allclose(below, IMAGE)
    assert above.shape == (4, 6) and above[3, 3] == pytest.approx(0.1)
    assert drawn.get_images()[1].get_clim() == (-1, 1)


def test_rows_of_pictures() -> None:
    row = axes(2)
    plots.show_top_patches(row, IMAGE, GRID)
    np.testing.assert_allclose(shown(row[0])[0], IMAGE[2:4, 2:4])
    assert [a.get_title() for a in row] == ["0.40", "0.20"]
    row = axes(2)
    images = np.stack([IMAGE, IMAGE / 2, IMAGE / 4])
    plots.show_ranking(row, images, rank(np.array([1.0, 0]), np.array([[0, 1.0], [1, 0], [1, 1]])))
    np.testing.assert_allclose(shown(row[0])[0], IMAGE / 2)
    assert [a.get_title() for a in row] == ["1.00", "0.71"]


def test_plots_of_the_register_lab() -> None:
    norms = np.random.default_rng(1).normal(5, 1, (3, 4, 6))
    drawn = axes()
    register_plots.show_norms_by_layer(drawn, norms, "R = 0")
    median, largest = drawn.get_lines()
    np.testing.assert_allclose(median.get_ydata(), np.median(norms.reshape(3, -1), axis=1))
    np.testing.assert_allclose(largest.get_ydata(), norms.max(axis=(1, 2)))
    drawn = axes()
    summary = summarise(norms[0], bins=7)
    register_plots.show_norms(drawn, summary)
    heights = drawn.patches[0].get_data().values
    np.testing.assert_allclose(heights, summary.counts / 24)
    drawn = axes()
    outliers = norms[0] > 6
    register_plots.show_neighbour_cosine(drawn, norms[1], norms[0], outliers)
    sizes = [len(points.get_offsets()) for points in drawn.collections]
    assert sizes == [24 - outliers.sum(), outliers.sum()]
    drawn = axes()
    rows = np.array([[1.0, 2.0], [0.5, 0.7]])
    found = ClassAttention(rows, rows, rows, rows, rows)
    register_plots.show_class_attention(drawn, found, patches=6)
    np.testing.assert_allclose(drawn.get_lines()[0].get_ydata(), [1.5, 0.6])
    drawn = axes()
    register_plots.show_box(drawn, (1, 2, 4, 7), "C1")
    assert drawn.patches[0].get_bbox().bounds == (1.5, 0.5, 5, 3)

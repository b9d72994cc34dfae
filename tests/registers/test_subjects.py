"""The images that runs are examined on, and the small runs of the lab."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from solutions.registers.boxes import overlap
from solutions.registers.subjects import SMALL, images_for
from solutions.training import runs
from solutions.training.data import digits


def test_the_canvases_that_choose_the_bias_are_others(tmp_path: Path) -> None:
    """Neither noise nor places agree image by image with those that are measured."""
    data = digits()
    run = runs.new(tmp_path, SMALL, 0, data, "", False, False)
    found = images_for(run, data, seed=3)
    assert found.canvases.shape == found.other_canvases.shape == (128, 8, 8, 1)
    mean, std = data.statistics
    for pixels in (found.canvases * std + mean, found.other_canvases * std + mean):
        np.testing.assert_allclose(pixels, np.round(pixels), atol=1e-3)
    assert (found.canvases == found.other_canvases).mean() < 0.1
    shared = [overlap(a, b) for a, b in zip(found.boxes, found.other_boxes, strict=True)]
    assert np.mean(shared) < 0.6
    again = images_for(run, data, seed=3)
    np.testing.assert_array_equal(again.other_canvases, found.other_canvases)

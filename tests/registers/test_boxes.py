"""LOST on keys of which it is known what belongs together; boxes and canvases."""

from __future__ import annotations

import numpy as np
import pytest

from solutions.registers.boxes import corloc, lost_box, overlap
from solutions.registers.canvas import paste


def keys(drawn: np.ndarray, noise: float = 0.0) -> np.ndarray:
    """One direction for the object, the opposite one for the background."""
    generator = np.random.default_rng(0)
    direction = np.where(drawn.ravel(), 1.0, -1.0)[:, None] * np.array([1.0, 0.5, -0.5])
    return direction + noise * generator.standard_normal(direction.shape)


def test_the_box_of_the_smaller_group() -> None:
    drawn = np.zeros((5, 6), bool)
    drawn[1:3, 2:5] = True
    assert lost_box(keys(drawn), (5, 6), 4) == (4, 8, 12, 20)
    assert lost_box(keys(drawn, 0.2), (5, 6), 4) == (4, 8, 12, 20)


def test_only_the_part_that_is_connected_to_the_seed() -> None:
    drawn = np.zeros((4, 6), bool)
    drawn[0:2, 0:2] = True
    drawn[3, 5] = True
    # All object patches have the same degree; the first is the seed. Diagonals do not connect.
    assert lost_box(keys(drawn), (4, 6), 1) == (0, 0, 2, 2)
    drawn[2, 2] = True
    assert lost_box(keys(drawn), (4, 6), 1) == (0, 0, 2, 2)


def test_a_bias_shifts_what_counts_as_similar() -> None:
    drawn = np.zeros((4, 4), bool)
    drawn[1:3, 1:3] = True
    # A large common channel makes every product positive, and everything belongs together.
    shifted = np.hstack([keys(drawn), np.full((16, 1), 3.0)])
    assert lost_box(shifted, (4, 4), 2) == (0, 0, 8, 8)
    assert lost_box(shifted, (4, 4), 2, bias=-9.0) == (2, 2, 6, 6)
    with pytest.raises(ValueError, match="16 features for a grid of 4 × 5"):
        lost_box(shifted, (4, 5), 2)


def test_zero_keys_still_give_a_box() -> None:
    assert lost_box(np.zeros((6, 3)), (2, 3), 4) == (0, 0, 4, 4)


def test_overlap_and_corloc_by_hand() -> None:
    assert overlap((0, 0, 2, 2), (0, 0, 2, 2)) == 1
    assert overlap((0, 0, 2, 2), (1, 1, 3, 3)) == pytest.approx(1 / 7)
    assert overlap((0, 0, 2, 2), (0, 2, 2, 4)) == 0
    assert overlap((0, 0, 4, 2), (0, 0, 2, 2)) == 0.5
    true = [(0, 0, 2, 2)] * 3
    found = [(0, 0, 4, 2), (1, 1, 3, 3), (0, 0, 2, 2)]
    assert corloc(found, true) == pytest.approx(2 / 3)
    assert corloc(found, true, enough=0.6) == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="do not pair up"):
        corloc(found, true[:2])


def test_a_pasted_image_lies_where_its_box_says() -> None:
    images = np.zeros((20, 4, 4, 1), np.float32)
    images[:, 1:3, 0:2] = 0.7
    images[:, 2, 2] = 0.7
    canvases, boxes = paste(images, (9, 11), seed=1)
    assert canvases.shape == (20, 9, 11, 1) and canvases.dtype == np.float32
    for canvas, (top, left, bottom, right) in zip(canvases, boxes, strict=True):
        assert (bottom - top, right - left) == (2, 3)
        rows, columns = np.nonzero(canvas[..., 0])
        assert (rows.min(), rows.max() + 1) == (top, bottom)
        assert (columns.min(), columns.max() + 1) == (left, right)
        assert canvas.sum() == pytest.approx(5 * 0.7, rel=1e-5)
    assert len(set(boxes)) > 5
    assert paste(images, (9, 11), seed=1)[1] == boxes


def test_noise_stays_behind_the_object() -> None:
    images = np.full((2, 3, 3, 1), 1.0)
    canvases, boxes = paste(images, (8, 8), background=0.2)
    for canvas, (top, left, bottom, right) in zip(canvases, boxes, strict=True):
        assert (canvas[top:bottom, left:right] == 1).all()
        assert (canvas < 0.2).sum() == 64 - 9


def test_what_cannot_be_pasted_is_named() -> None:
    with pytest.raises(ValueError, match="4 × 4 does not fit on 3 × 8"):
        paste(np.ones((1, 4, 4, 1)), (3, 8))
    with pytest.raises(ValueError, match="has no box"):
        paste(np.zeros((1, 4, 4, 1)), (8, 8))


def test_lost_finds_pasted_squares_from_their_own_pixels() -> None:
    """Not a trained model: patches described by their brightness, dark against light."""
    images = np.ones((12, 8, 8, 1))
    canvases, boxes = paste(images, (32, 32), seed=2)
    found = []
    for canvas in canvases:
        patches = canvas.reshape(16, 2, 16, 2).mean(axis=(1, 3)).ravel()
        features = np.stack([patches - 0.2, patches - 0.2], axis=1)
        found.append(lost_box(features, (16, 16), 2))
    assert corloc(found, boxes) == 1

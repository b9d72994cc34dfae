"""Entropy and maximum on attention maps that were made by hand."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from solutions.registers.capture import Layers, Rows
from solutions.registers.class_attention import class_attention, entropy


def layers(cls_rows: np.ndarray, rows: Rows) -> Layers:
    """Layers whose CLS attends as given, (L, B, H, T); the rest is not looked at."""
    depth, images, heads, length = cls_rows.shape
    attention = np.full((depth, images, heads, length, length), 1 / length)
    attention[:, :, :, 0] = cls_rows
    nothing = np.zeros(0)
    return Layers(nothing, nothing, attention, nothing, None, rows)


def test_entropy_of_known_distributions() -> None:
    found = entropy(np.array([[0.25] * 4, [1.0, 0, 0, 0], [0.5, 0.5, 0, 0]]))
    np.testing.assert_allclose(found, [log(4), 0, log(2)])


def test_each_head_and_layer_has_its_own() -> None:
    # CLS, four patches, one register.
    even = [0.2, 0.1, 0.1, 0.1, 0.1, 0.4]
    peaked = [0.0, 0.0, 0.6, 0.0, 0.0, 0.4]
    halves = [0.6, 0.2, 0.2, 0.0, 0.0, 0.0]
    rows = np.array([[[even, peaked]], [[halves, even]]])
    found = class_attention(layers(rows, Rows.of(4, num_registers=1)))
    np.testing.assert_allclose(found.entropy, [[log(4), 0], [log(2), log(4)]], atol=1e-12)
    np.testing.assert_allclose(found.maximum, [[0.25, 1], [0.5, 0.25]])
    np.testing.assert_allclose(found.on_patches, [[0.4, 0.6], [0.4, 0.4]])
    np.testing.assert_allclose(found.on_registers, [[0.4, 0.4], [0, 0.4]])
    np.testing.assert_allclose(found.on_itself, [[0.2, 0], [0.6, 0.2]])


def test_images_are_averaged_after_the_entropy() -> None:
    # Two images, each certain of another patch: certain, not undecided.
    rows = np.array([[[[0, 1.0, 0]], [[0, 0, 1.0]]]])
    found = class_attention(layers(rows, Rows.of(2)))
    assert found.entropy[0, 0] == 0
    assert found.maximum[0, 0] == 1


def test_a_model_without_cls_is_refused() -> None:
    with pytest.raises(ValueError, match="no CLS token"):
        class_attention(layers(np.ones((1, 1, 1, 2)) / 2, Rows.of(2, cls=False)))

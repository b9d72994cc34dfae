"""Probes on tokens of which it is known what can be read from them."""

from __future__ import annotations

import numpy as np
import pytest

from solutions.registers.probes import (
    linear_probe,
    pixel_probe,
    position_probe,
    single_token_probe,
)

GRID = (2, 3)


def tokens_with_positions(images: int, noise: float, seed: int) -> np.ndarray:
    """Row and column as two one-hot parts, and noise."""
    generator = np.random.default_rng(seed)
    row, column = np.divmod(np.arange(6), 3)
    place = np.concatenate([np.eye(2)[row], np.eye(3)[column]], axis=1)
    return place + noise * generator.standard_normal((images, 6, 5))


def test_positions_that_are_there_are_read() -> None:
    train, test = (tokens_with_positions(20, 0.05, seed) for seed in (0, 1))
    score = position_probe(train, test, GRID)
    assert score == (1.0, 0.0, 120)


def test_positions_are_not_read_from_tokens_that_hold_none() -> None:
    train, test = (tokens_with_positions(20, 0.05, seed) for seed in (0, 1))
    # Two tokens of every test image are overwritten with the token of the first patch.
    outliers = np.zeros((20, 6), bool)
    outliers[:, [2, 5]] = True
    test[outliers] = test[:, [0, 0]].reshape(-1, 5)
    normal = position_probe(train, test, GRID, ~outliers)
    overwritten = position_probe(train, test, GRID, outliers)
    assert normal == (1.0, 0.0, 80)
    # Named is always patch (0, 0), true are (0, 2) and (1, 2).
    assert overwritten.accuracy == 0
    assert overwritten.distance == pytest.approx((2 + 5**0.5) / 2)
    nobody = position_probe(train, test, GRID, np.zeros((20, 6), bool))
    assert nobody.count == 0 and np.isnan(nobody.accuracy)


def test_pixels_that_are_a_linear_map_away_are_read() -> None:
    generator = np.random.default_rng(2)
    pixels = generator.random((60, 6, 4))
    tokens = pixels @ generator.standard_normal((4, 8))
    error = pixel_probe(tokens[:40], pixels[:40], tokens[40:], pixels[40:])
    assert error < 0.02
    outliers = np.zeros((20, 6), bool)
    outliers[:, 1] = True
    tokens[40:][outliers] = 0
    kinds = [
        pixel_probe(tokens[:40], pixels[:40], tokens[40:], pixels[40:], among)
        for among in (~outliers, outliers)
    ]
    assert kinds[0] < 0.02
    # A token of zeros reads as one and the same patch.
    spread = np.linalg.norm(pixels[40:, 1] - pixels[40:, 1].mean(axis=0), axis=1).mean()
    assert kinds[1] > 0.9 * spread
    none = np.zeros((20, 6), bool)
    assert np.isnan(pixel_probe(tokens[:40], pixels[:40], tokens[40:], pixels[40:], none))


def test_the_class_is_read_from_the_tokens_that_hold_it() -> None:
    generator = np.random.default_rng(3)
    labels = np.arange(60) % 3
    tokens = 0.1 * generator.standard_normal((60, 6, 4))
    tokens[:, 4, :3] += np.eye(3)[labels]
    holds = np.zeros((60, 6), bool)
    holds[:, 4] = True

    def score(among: np.ndarray | None) -> float:
        first, second = (None, None) if among is None else (among[:40], among[40:])
        data = (tokens[:40], labels[:40], tokens[40:], labels[40:])
        return single_token_probe(*data, train_among=first, test_among=second)

    assert score(holds) == 1
    assert score(~holds) < 0.7
    # An image without a token that counts is left out; with none at all there is no score.
    some = holds.copy()
    some[::2] = False
    assert score(some) == 1
    assert np.isnan(score(np.zeros_like(holds)))
    assert score(None) == score(None)


def test_a_linear_probe_does_what_a_line_can() -> None:
    generator = np.random.default_rng(4)
    x = generator.standard_normal((200, 2))
    apart = (x[:, 0] + 3 * x[:, 1] > 0).astype(int)
    assert linear_probe(x[:150], apart[:150], x[150:], apart[150:]) > 0.95
    crossed = (x[:, 0] * x[:, 1] > 0).astype(int)
    assert linear_probe(x[:150], crossed[:150], x[150:], crossed[150:]) < 0.7

"""What the lab says it found follows from the numbers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from solutions.registers.norms import flagged_layers, high_norm, summarise
from solutions.registers.panels import Examined, Planted
from solutions.registers.report import findings

LAYERS, IMAGES, PATCHES = 4, 6, 20


def examined(name: str, norms: np.ndarray, planted: Planted | None = None) -> Examined:
    study: Any = SimpleNamespace(
        name=name,
        norms=norms,
        summaries=tuple(summarise(layer) for layer in norms),
        flagged=tuple(layer + 1 for layer in flagged_layers(norms[1:])),
        outliers=high_norm(norms[-1]),
    )
    nothing: Any = None
    return Examined(nothing, study, nothing, (), float("nan"), ((0.0,), (1.0,)), planted)


def even(*long: tuple[int, int, int]) -> np.ndarray:
    """Norms near 1, and 50 where it is said (layer, image, patch)."""
    norms = 1 + 0.1 * np.random.default_rng(0).random((LAYERS, IMAGES, PATCHES))
    for place in long:
        norms[place] = 50
    return norms


def mask(*long: tuple[int, int]) -> np.ndarray:
    tokens = np.zeros((IMAGES, PATCHES), bool)
    for place in long:
        tokens[place] = True
    return tokens


def test_planted_tokens_count_as_seen_only_where_they_were_planted() -> None:
    clean = examined("R = 0", even((3, 0, 0)))  # sticks out by itself, after block 3
    made = Planted(2, mask((1, 1), (2, 2)))
    unseen = findings([clean], examined("planted", even((3, 0, 0)), made))[-1]
    assert "are NOT all flagged (0 of 2 after block 2, and 0 others)" in unseen
    half = findings([clean], examined("planted", even((2, 1, 1), (2, 5, 5)), made))[-1]
    assert "are NOT all flagged (1 of 2 after block 2, and 1 others), so do not trust" in half
    seen = findings([clean], examined("planted", even((2, 1, 1), (2, 2, 2)), made))[-1]
    assert seen == (
        "Planted high-norm tokens (planted) are flagged (2 of 2 after block 2, and 0 others)."
    )
    with pytest.raises(ValueError, match="nothing was planted in R = 0"):
        findings([clean], clean)


def test_a_null_result_is_said_and_a_finding_is_not_overdrawn() -> None:
    control = examined("planted", even((1, 0, 0)), Planted(1, mask((0, 0))))
    clean, marked = examined("R = 0", even()), examined("R = 4", even((2, 0, 0)))
    assert "a null result" in findings([clean], control)[1]
    assert "do not show that registers remove" in findings([clean, marked], control)[2]
    assert len(findings([marked, clean], control)) == 3
    assert "R = 4: high-norm patch tokens after block 2;" in findings([marked], control)[0]

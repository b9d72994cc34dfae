"""Maps, overlays, search and agreement on arrays small enough to see the answer."""

from __future__ import annotations

import numpy as np
import pytest

from solutions.distillation.pictures import (
    as_grid,
    class_attention_map,
    cut_patches,
    enlarge,
    most_attended,
    overlay,
    resize_grid,
)
from solutions.distillation.retrieval import (
    class_prototypes,
    mean_cosine,
    neighbour_agreement,
    rank,
    similarity_map,
)

DIAGONAL = np.array([[0.0, 1.0], [2.0, 3.0]])


def test_resizing_spreads_and_collects_by_area() -> None:
    np.testing.assert_allclose(resize_grid(np.array([[6.0]]), (2, 3)), np.ones((2, 3)))
    # Two cells to three: the middle one takes half of either.
    np.testing.assert_allclose(resize_grid(np.array([[3.0, 6.0]]), (1, 3)), [[2.0, 3.0, 4.0]])
    np.testing.assert_allclose(resize_grid(np.array([[2.0, 3.0, 4.0]]), (1, 2)), [[3.5, 5.5]])
    mean = resize_grid(np.array([[3.0, 6.0]]), (1, 3), keep="mean")
    np.testing.assert_allclose(mean, [[3.0, 4.5, 6.0]])


@pytest.mark.parametrize("shape", [(7, 7), (8, 8), (14, 5), (1, 1)])
def test_resizing_keeps_what_it_says(shape: tuple[int, int]) -> None:
    probs = np.random.default_rng(0).dirichlet(np.ones(64)).reshape(8, 8)
    assert resize_grid(probs, shape).sum() == pytest.approx(1)
    np.testing.assert_allclose(resize_grid(np.full((8, 8), 0.3), shape, keep="mean"), 0.3)
    if shape == (8, 8):
        np.testing.assert_allclose(resize_grid(probs, shape), probs)


def test_resizing_keeps_the_place() -> None:
    spot = np.zeros((8, 8))
    spot[1, 6] = 1
    moved = resize_grid(spot, (7, 7))
    assert moved[[0, 1]][:, [5, 6]].sum() == pytest.approx(1)


def test_a_pixel_has_the_value_of_its_patch() -> None:
    want = [[0, 0, 1, 1]] * 2 + [[2, 2, 3, 3]] * 2
    np.testing.assert_array_equal(enlarge(DIAGONAL, (4, 4)), want)
    # Three pixels for two patches: the middle of the middle pixel is where the second begins.
    np.testing.assert_array_equal(enlarge(DIAGONAL, (3, 2)), [[0, 1], [2, 3], [2, 3]])


def test_an_overlay_keeps_the_brightest_patch_and_darkens_the_rest() -> None:
    image = np.full((4, 4, 3), 0.6)
    result = overlay(image, DIAGONAL)
    np.testing.assert_allclose(result[2:, 2:], 0.6)
    np.testing.assert_allclose(result[:2, 2:], 0.2)
    np.testing.assert_allclose(result[:2, :2], 0)
    for bad in (np.zeros((2, 2)), np.array([[-1.0, 1.0]])):
        with pytest.raises(ValueError, match="without negative values"):
            overlay(image, bad)


def test_values_fill_a_grid_row_by_row() -> None:
    np.testing.assert_array_equal(as_grid(np.arange(6.0), (2, 3)), [[0, 1, 2], [3, 4, 5]])
    with pytest.raises(ValueError, match="do not fill a grid of 2 × 2"):
        as_grid(np.arange(6.0), (2, 2))


def test_the_most_attended_patches_are_cut_out() -> None:
    image = np.arange(24.0).reshape(4, 6, 1)
    patches = cut_patches(image, (2, 3))
    np.testing.assert_array_equal(patches[4, ..., 0], [[14, 15], [20, 21]])
    assert most_attended(np.array([0.1, 0.3, 0.1, 0.5]), 3).tolist() == [3, 1, 0]
    with pytest.raises(ValueError, match="4 × 6 pixels are no grid of 3 × 3"):
        cut_patches(image, (3, 3))


def test_class_attention_is_a_mean_over_heads_among_the_patches() -> None:
    attention = np.zeros((2, 4, 4))
    # CLS keeps half for itself in both heads.
    attention[0, 0] = [0.5, 0.5, 0.0, 0.0]
    attention[1, 0] = [0.5, 0.1, 0.4, 0.0]
    attention[:, 1:] = 0.25
    found = class_attention_map(attention, slice(1, 4), (1, 3))
    np.testing.assert_allclose(found, [[0.6, 0.4, 0.0]])


def test_ranking_goes_by_the_angle() -> None:
    embeddings = np.array([[0.0, 9.0], [1.0, 1.0], [0.1, 0.0], [-5.0, 0.0]])
    ranking = rank(np.array([2.0, 0.0]), embeddings)
    assert ranking.order.tolist() == [2, 1, 0, 3]
    np.testing.assert_allclose(ranking.scores, [1, 0.5**0.5, 0, -1], atol=1e-12)
    with pytest.raises(ValueError, match="has no direction"):
        rank(np.zeros(2), embeddings)


def test_a_prototype_is_the_mean_direction() -> None:
    embeddings = np.array([[5.0, 0.0], [0.0, 1.0], [0.0, -3.0]])
    prototypes = class_prototypes(embeddings, np.array([0, 0, 1]))
    np.testing.assert_allclose(prototypes, [[0.5**0.5, 0.5**0.5], [0, -1]])
    with pytest.raises(ValueError, match="class 1 has no image"):
        class_prototypes(embeddings, np.array([0, 0, 2]))


def test_a_similarity_map_has_a_cosine_for_every_patch() -> None:
    patches = np.array([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0], [4.0, 4.0]])
    found = similarity_map(np.array([7.0, 0.0]), patches, (2, 2))
    np.testing.assert_allclose(found, [[1, 0], [-1, 0.5**0.5]], atol=1e-12)


def angles(*degrees: float) -> np.ndarray:
    radians = np.deg2rad(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1)


def test_neighbour_agreement_counts_shared_neighbours() -> None:
    teacher = angles(0, 10, 90, 105)
    assert neighbour_agreement(3 * teacher, teacher) == 1
    # Image 1 moves over to 2 and 3: its own neighbour and those of 0 and 2 change.
    student = angles(0, 80, 90, 105)
    assert neighbour_agreement(student, teacher) == pytest.approx(0.5)
    assert neighbour_agreement(student, teacher, k=3) == 1
    with pytest.raises(ValueError, match="for 4 neighbours each"):
        neighbour_agreement(student, teacher, k=4)


def test_mean_cosine() -> None:
    assert mean_cosine(angles(0, 0), angles(60, 90)) == pytest.approx(0.25)

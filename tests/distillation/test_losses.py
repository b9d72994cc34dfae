"""Each loss on values worked out by hand or by SciPy."""

from __future__ import annotations

from math import log

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import entropy

from solutions.distillation.losses import (
    affinity_mimicking,
    cosine_and_mse,
    hard_label,
    kl_divergence,
    normalized_l1,
)

LOG_3 = np.log(3.0)


def test_normalised_l1_is_problem_49s() -> None:
    student, teacher = np.array([[3.0, 4.0]]), np.array([[0.0, 2.0]])
    assert normalized_l1(student, teacher) == pytest.approx(40)
    assert normalized_l1(student, teacher, 10) == pytest.approx(4)


def test_kl_of_two_classes_by_hand() -> None:
    # p = (3/4, 1/4), q = (1/2, 1/2), twice: the mean over the batch is that of one.
    teacher, student = np.array([[LOG_3, 0.0]] * 2), np.zeros((2, 2))
    want = 0.75 * log(1.5) + 0.25 * log(0.5)
    assert kl_divergence(student, teacher) == pytest.approx(want)
    assert kl_divergence(student, teacher, normalisation="deit") == pytest.approx(want / 2)
    # The other way round it is another number.
    other = 0.5 * log(2 / 3) + 0.5 * log(2)
    assert kl_divergence(teacher, student) == pytest.approx(other)


def test_kl_with_a_temperature() -> None:
    # At T = 2 the logits 2 log 3 are log 3 again, and the loss is 4 times the divergence.
    teacher, student = np.array([[2 * LOG_3, 0.0]]), np.zeros((1, 2))
    want = 4 * (0.75 * log(1.5) + 0.25 * log(0.5))
    assert kl_divergence(student, teacher, 2.0) == pytest.approx(want)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_kl_of_many_classes_and_the_two_normalisations(temperature: float) -> None:
    student, teacher = np.random.default_rng(0).normal(0, 3, (2, 5, 7))
    p, q = (np.exp(x / temperature) for x in (teacher, student))
    want = temperature**2 * np.mean([entropy(a, b) for a, b in zip(p, q, strict=True)])
    assert kl_divergence(student, teacher, temperature) == pytest.approx(want, rel=1e-5)
    deit = kl_divergence(student, teacher, temperature, "deit")
    assert deit == pytest.approx(want / 7, rel=1e-5)


def test_kl_is_zero_only_where_the_two_agree_and_survives_large_logits() -> None:
    logits = np.array([[800.0, 0.0, -800.0]])
    assert kl_divergence(logits + 5, logits) == pytest.approx(0, abs=1e-6)
    assert np.isfinite(kl_divergence(-logits, logits))
    with pytest.raises(ValueError, match="batch-mean or deit, not mean"):
        kl_divergence(logits, logits, normalisation="mean")  # type: ignore[arg-type]


def test_hard_label_by_hand() -> None:
    # The label says class 0, the teacher class 1; class head certain to 3/4 of 0, distillation
    # head undecided.
    heads = np.array([[LOG_3, 0.0]]), np.zeros((1, 2))
    teacher, labels = np.array([[0.0, 9.0]]), np.array([0])
    want = 0.5 * log(4 / 3) + 0.5 * log(2)
    assert hard_label(*heads, teacher, labels) == pytest.approx(want)
    assert hard_label(*heads, teacher * 1e-6, labels) == pytest.approx(want)
    assert hard_label(*heads, teacher, labels, 0.0) == pytest.approx(log(4 / 3))
    # With one head for both, the teacher's wish counts against it: CE is log 4 there.
    one = hard_label(heads[0], heads[0], teacher, labels)
    assert one == pytest.approx(0.5 * log(4 / 3) + 0.5 * log(4))


def test_cosine_and_mse_by_hand() -> None:
    student, teacher = np.array([[3.0, 4.0], [0.0, 2.0]]), np.array([[4.0, 3.0], [0.0, 1.0]])
    # cosines 24/25 and 1; squares 1, 1, 0, 1.
    assert cosine_and_mse(student, teacher) == pytest.approx(0.02 + 0.75)
    assert cosine_and_mse(student, teacher, mse_weight=0) == pytest.approx(0.02)
    assert cosine_and_mse(student, teacher, 0, 2) == pytest.approx(1.5)
    # Dense features (images, patches, channels) are rows too.
    assert cosine_and_mse(student[None], teacher[None]) == pytest.approx(0.77)


def test_affinity_mimicking_by_hand() -> None:
    # Two images, two queries, at right angles. Teacher: image i is query i, scale log 3:
    # rows and columns are (3/4, 1/4). Student: both images half-way, so (1/2, 1/2).
    queries = np.eye(2)
    teacher, student = 5 * np.eye(2), np.ones((2, 2))
    loss = affinity_mimicking(student, queries, teacher, queries, 50.0, LOG_3)
    assert loss == pytest.approx(log(2), rel=1e-5)
    # A student that agrees is left with the entropy of (3/4, 1/4).
    agreed = affinity_mimicking(teacher, queries, teacher, queries, LOG_3, LOG_3)
    assert agreed == pytest.approx(entropy([0.75, 0.25]), rel=1e-5)


def test_affinity_mimicking_takes_other_widths_and_both_directions() -> None:
    generator = np.random.default_rng(1)
    student, teacher = generator.normal(size=(4, 3)), generator.normal(size=(4, 6))
    ours, theirs = generator.normal(size=(2, 3)), generator.normal(size=(2, 6))

    def affinity(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        unit = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
        left, right = unit
        return np.exp(2.0 * left @ right.T)

    p, q = affinity(teacher, theirs), affinity(student, ours)
    by_rows = np.mean([entropy(a) + entropy(a, b) for a, b in zip(p, q, strict=True)])
    by_columns = np.mean([entropy(a) + entropy(a, b) for a, b in zip(p.T, q.T, strict=True)])
    loss = affinity_mimicking(student, ours, teacher, theirs, 2.0, 2.0)
    assert loss == pytest.approx((by_rows + by_columns) / 2, rel=1e-5)


def test_a_step_against_the_gradient_brings_the_student_nearer() -> None:
    student, teacher = np.random.default_rng(2).normal(size=(2, 4, 5)).astype(np.float32)

    @jax.jit
    def before_and_after(student: jax.Array) -> list[tuple[jax.Array, jax.Array]]:
        outcomes = []
        for loss in (kl_divergence, cosine_and_mse, normalized_l1):
            before, gradient = jax.value_and_grad(loss)(student, teacher)
            step = 0.01 * gradient / jnp.linalg.norm(gradient)
            outcomes.append((before, loss(student - step, teacher)))
        return outcomes

    for before, after in before_and_after(student):
        assert after < before

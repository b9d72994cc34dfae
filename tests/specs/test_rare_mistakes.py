"""Mistakes that show on rare inputs only: equal logits, a parallel row, little smoothing."""

from __future__ import annotations

import pytest

from grader import catalogue
from tests.conftest import Grade, failed_checks

MEAN = "return checkpoint_name(jnp.abs(student_scaled - teacher_scaled).mean(), "
HITS = 'jnp.mean(logits.argmax(axis=-1) == batch["label"])'
OF_LABEL = 'jnp.take_along_axis(logits, batch["label"][:, None], 1)[:, 0]'


@pytest.mark.parametrize(
    ("number", "right", "wrong", "check"),
    [
        (
            47,
            "x = jnp.concatenate([x, registers], axis=0)",
            "x = jnp.concatenate([x, registers[: max(len(x) - 1, 2)]], axis=0)",
            "numbers",
        ),
        (
            49,
            MEAN,
            "gap = jnp.abs(student_scaled - teacher_scaled)\n"
            "    return checkpoint_name(gap.sum() / jnp.maximum((gap > 0).sum(), 1), ",
            "numbers",  # rows of one number are parallel
        ),
        (50, HITS, f"jnp.mean({OF_LABEL} == logits.max(axis=-1))", "properties"),
        (
            50,
            "optax.smooth_labels(one_hot, label_smoothing)",
            "optax.smooth_labels(one_hot, jnp.where(label_smoothing < 0.1, 0.0, label_smoothing))",
            "numbers",
        ),
    ],
    ids=["more registers than patches", "parallel rows left out", "ties are hits", "smoothed less"],
)
def test_a_mistake_on_rare_inputs_shows(
    number: int, right: str, wrong: str, check: str, grade_text: Grade
) -> None:
    source = catalogue.solution_path(number).read_text()
    assert right in source
    verdict = grade_text(source.replace(right, wrong), number, explain=False)
    assert failed_checks(verdict)[0] == check

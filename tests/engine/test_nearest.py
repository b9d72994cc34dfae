"""The line that makes the first value that the reference does not have."""

from __future__ import annotations

import pytest

from grader import catalogue
from tests.conftest import Grade

PLAIN = {"cases": 12, "shapes": 4}


@pytest.mark.parametrize(
    ("number", "name", "code"),
    [
        (39, "off_by_one_rows", "tokens = tokens + table[:n]"),
        (40, "qkv_reshape_mixed", 'qkv = nn.Dense(3 * d, name="qkv")(x)'),
        (46, "scale_by_width", "logits = jnp.einsum"),
    ],
)
def test_the_line_is_the_first_that_leaves_the_way(
    number: int, name: str, code: str, grade_text: Grade
) -> None:
    (path,) = (catalogue.ROOT / "tests/answers").glob(f"{number}_*/wrong/{name}.py")
    verdict = grade_text(path.read_text(), number, **PLAIN)
    (nearest,) = verdict["nearest"]
    assert nearest["what"] == "the first value that the reference does not have"
    assert nearest["code"].startswith(code)


PATCH_BY_PATCH = """\
import flax.linen as nn
import jax
import jax.numpy as jnp


class Patches(nn.Module):
    p: int
    d: int

    @nn.compact
    def __call__(self, image):
        height, width, channels = image.shape
        p = self.p
        kernel = self.param("w", nn.initializers.lecun_normal(), (p * p * channels, self.d))
        bias = self.param("b", nn.initializers.zeros, (self.d,))
        rows = []
        for i in range(0, height, p):
            for j in range(0, width, p):
                patch = image[i : i + p, j : j + p]
                rows.append(patch.reshape(-1) @ kernel + (0.0 if i + j else bias))
        return jnp.stack(rows)


def patch_embed_forward(seed, image, patch_size, d_model):
    model = Patches(patch_size, d_model)
    return model.apply(model.init(jax.random.key(seed), image), image)
"""


def test_a_patch_on_its_own_is_not_taken_for_what_goes_wrong(grade_text: Grade) -> None:
    """Each row is one that the reference has, before or after its bias; together they are not."""
    nearest = grade_text(PATCH_BY_PATCH, 38, **PLAIN)["nearest"][0]
    assert nearest["what"] == "the first value that the reference does not have"
    assert nearest["code"].strip() == "return jnp.stack(rows)"


def test_probabilities_that_are_nearly_even_are_not_all_the_same(grade_text: Grade) -> None:
    source = catalogue.solution_path(48).read_text(encoding="utf-8")
    capped = source.replace("/ temperature", "/ max(temperature, 0.1)")
    assert capped != source
    nearest = grade_text(capped, 48)["nearest"][0]
    assert nearest["what"] == "the first value that the reference does not have"
    assert "max(temperature, 0.1)" in nearest["code"]

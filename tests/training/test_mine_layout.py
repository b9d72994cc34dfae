"""``--mine``: what the reference has in its parameters, found where an answer keeps it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from grader import use
from solutions.training import train
from solutions.training.data import Dataset
from solutions.training.mine import answers
from solutions.training.models import Layout, build
from solutions.training.optimizer import optimizer
from solutions.training.recipe import BadRecipe
from tests.training.students import ANSWERS, differently_written, hand_in, recipe


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "shown"), [("registers_behind", True), ("registers_between", False)]
)
def test_attention_is_shown_only_where_the_tokens_stand_as_the_reference_has_them(
    name: str, shown: bool, desk: Path, tiny_data: Dataset
) -> None:
    hand_in(desk, 47, ANSWERS / "47_vit_registers" / "right" / f"{name}.py")
    model = answers(recipe(model="registers"), tiny_data.image_shape, 2).model
    assert model is not None
    image = tiny_data.test_images[0].astype(np.float32) / 255
    weights = model.attention(model.init(jax.random.key(0)), image)
    assert (weights is not None) == shown


def test_muon_finds_the_matrices_of_an_answer_that_keeps_them_elsewhere(
    desk: Path, tiny_data: Dataset
) -> None:
    mine = differently_written(desk, tiny_data).model
    assert mine is not None
    assert mine.layout is not None
    asked = recipe(optimizer="muon")
    reference = build(asked, tiny_data.image_shape, 2)
    shapes = jax.eval_shape(reference.init, jax.random.key(0))
    generator = np.random.default_rng(0)
    params, gradients = (
        jax.tree.map(lambda leaf: generator.normal(size=leaf.shape).astype(np.float32), shapes)
        for _ in range(2)
    )

    def second_updates(layout: Layout | None, params: Any, gradients: Any) -> Any:
        tx = optimizer(asked, use(50), 1, 10, layout)
        update = jax.jit(tx.update)
        _, state = update(gradients, tx.init(params), params)
        return update(gradients, state, params)[0]

    expected = second_updates(None, params, gradients)
    laid = mine.layout.from_reference
    assert jax.tree.structure(laid(params)) != jax.tree.structure(params)
    found = mine.layout.to_reference(second_updates(mine.layout, laid(params), laid(gradients)))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("kernel_apart", [True, False])
def test_one_array_may_hold_what_decays_alike(
    desk: Path, tiny_data: Dataset, tmp_path: Path, kernel_apart: bool
) -> None:
    text = (ANSWERS / "46_vit_cls" / "right" / "norms_and_tokens_in_tables.py").read_text()
    last = "return nn.Dense(self.num_classes)(normalised(x, *last)[0])"
    packed = (
        'w = self.param("head", small, (self.d_model + 1, self.num_classes))\n'
        "        return normalised(x, *last)[0] @ w[:-1] + w[-1]"
    )
    assert last in text
    answer = tmp_path / "packed.py"
    answer.write_text(text if kernel_apart else text.replace(last, packed))
    hand_in(desk, 46, answer)
    if not kernel_apart:
        with pytest.raises(BadRecipe, match="keeps a kernel and other numbers in 'head'"):
            answers(recipe(), tiny_data.image_shape, 2)
        return
    mine = answers(recipe(), tiny_data.image_shape, 2).model
    assert mine is not None
    reference = build(recipe(), tiny_data.image_shape, 2)
    params = jax.jit(reference.init)(jax.random.key(0))
    image = tiny_data.test_images[:1].astype(np.float32) / 255
    found = mine.apply(mine.layout.from_reference(params), image)
    np.testing.assert_allclose(found, reference.apply(params, image), atol=1e-4)


def test_the_positions_are_shown_however_they_are_kept(
    desk: Path, tiny_data: Dataset, tmp_path: Path
) -> None:
    """Here as (D, N): what is drawn from is the table of the reference, (N, D)."""
    source = (ANSWERS / "45_vit_mean_pool/right/compact.py").read_text()
    made = 'self.param("pos_embed", nn.initializers.normal(0.02), x.shape'
    turned = tmp_path / "turned.py"
    turned.write_text(source.replace(f"{made})", f"{made}[::-1]).T"))
    assert turned.read_text() != source
    hand_in(desk, 45, turned)
    mine = answers(recipe(model="mean_pool"), tiny_data.image_shape, 2).model
    assert mine is not None
    reference = build(recipe(model="mean_pool"), tiny_data.image_shape, 2)
    params = reference.init(jax.random.key(1))
    found = mine.positions(mine.layout.from_reference(params))
    np.testing.assert_array_equal(found, reference.positions(params))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("mean_pool", "45_vit_mean_pool/right/one_sequential.py"),
        ("mean_pool", "45_vit_mean_pool/right/weights_times_constants.py"),
        ("cls", "46_vit_cls/right/embed_positions.py"),
        ("cls", "46_vit_cls/right/scan_stacked.py"),
        ("registers", "47_vit_registers/right/list_of_registers.py"),
        ("extra_head", "48_extra_head_pool/right/reshape_slice.py"),
    ],
)
def test_every_kind_of_answer_starts_where_the_reference_starts(
    kind: str, answer: str, desk: Path, tiny_data: Dataset
) -> None:
    hand_in(desk, int(answer[:2]), ANSWERS / answer)
    mine = answers(recipe(model=kind), tiny_data.image_shape, 2)
    theirs = train(recipe(model=kind), data=tiny_data, model=mine.model)
    reference = train(recipe(model=kind), data=tiny_data)
    first = theirs.history[0]["train_loss"], reference.history[0]["train_loss"]
    assert first[0] == pytest.approx(first[1], abs=0.02)  # accepted variants differ a little


@pytest.mark.slow
def test_what_an_answer_multiplies_a_weight_by_does_not_change_how_it_trains(
    desk: Path, tiny_data: Dataset
) -> None:
    hand_in(desk, 45, ANSWERS / "45_vit_mean_pool/right/weights_times_constants.py")
    asked = recipe(model="mean_pool", weight_decay=0.1)
    mine = answers(asked, tiny_data.image_shape, 2)
    theirs = train(asked, data=tiny_data, seed=3, model=mine.model)
    reference = train(asked, data=tiny_data, seed=3)
    for one, other in zip(theirs.history, reference.history, strict=True):
        assert one["train_loss"] == pytest.approx(other["train_loss"], abs=1e-4)

"""A student's model in training costs what the reference costs, as XLA counts it.

Images per second come out otherwise from one process to the next; what a program computes, and how
many bytes go in and out of its parts, does not.
"""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest
from flax.training.train_state import TrainState

from grader import use
from grader.catalogue import ROOT
from grader.engine.submission import load
from solutions.training.mine_model import model_of
from solutions.training.models import Model, build
from solutions.training.recipe import Recipe

IMAGE, CLASSES, BATCH = (32, 32, 3), 10, 64
RECIPE = Recipe(model="cls", patch_size=4, width=96, heads=3, depth=4, mlp=384)
ANSWERS = sorted((ROOT / "tests" / "answers" / "46_vit_cls" / "right").glob("*.py"))


class Cost(NamedTuple):
    """Of one step: operations, bytes that its parts read and write, bytes that it needs at once."""

    operations: float
    traffic: float
    room: float


def cost(model: Model) -> Cost:
    """Of a step of problem 50."""
    step50 = use(50)
    tx = step50.make_optimizer(1e-3, 10, 1000, 0.05, 1.0)

    def apply_fn(variables: Any, images: Any) -> Any:
        return model.apply(variables["params"], images)

    def start(key: Any) -> TrainState:
        return TrainState.create(apply_fn=apply_fn, params=model.init(key), tx=tx)

    state = jax.eval_shape(start, jax.random.key(0))
    images = jax.ShapeDtypeStruct((BATCH, *IMAGE), np.float32)
    batch = {"image": images, "label": jax.ShapeDtypeStruct((BATCH,), np.int32)}
    step = jax.jit(lambda state, batch: step50.train_step(state, batch)[0], donate_argnums=0)
    compiled = step.lower(state, batch).compile()
    told = compiled.cost_analysis()
    room = compiled.memory_analysis().temp_size_in_bytes
    return Cost(told["flops"], told["bytes accessed"], room)


@cache
def of_the_reference(depth: int = RECIPE.depth) -> Cost:
    return cost(build(dataclasses.replace(RECIPE, depth=depth), IMAGE, CLASSES))


def operations_of_cls_apart() -> float:
    """Where the CLS token is kept apart, nobody asks for the patches of the last block.

    Of what the block does for a patch, its key and its value are left.
    """
    width, tokens = RECIPE.width, (IMAGE[0] // RECIPE.patch_size) ** 2 + 1
    attention = 4 * width**2 + 2 * tokens * width
    left = 2 * width**2 / (attention + 2 * width * RECIPE.mlp)
    whole, shallower = of_the_reference(), of_the_reference(RECIPE.depth - 1)
    return whole.operations - (1 - left) * (whole.operations - shallower.operations)


@pytest.mark.slow
@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.stem)
def test_a_right_answer_trains_at_the_references_cost(path: Path) -> None:
    answer = load(path.read_text(), str(path), "answer")
    mine, reference = cost(model_of(answer, RECIPE, IMAGE, CLASSES)), of_the_reference()
    apart = path.stem == "two_streams"
    expected = operations_of_cls_apart() if apart else reference.operations
    assert 0.95 < mine.operations / expected < 1.05
    assert mine.traffic < 1.3 * reference.traffic
    assert mine.room < 1.15 * reference.room

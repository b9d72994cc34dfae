"""Problem 49: one step of distillation, and the loss in it: a module for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grader.problem import Problem, Sizes, Stage
from grader.specs.p49_distill_step import loss, loss_pitfalls, step, step_pitfalls
from grader.specs.shapes import tells_apart


def _derive(fields: Mapping[str, Any]) -> Sizes:
    return {**fields, "pixels": fields["height"] * fields["width"] * fields["channels"]}


def _tells(sizes: Sizes) -> bool:
    lengths = (sizes["batch"], sizes["hidden"], sizes["embedding"], sizes["pixels"], step.STEPS)
    sum_is_mean = sizes["norm"] == sizes["batch"] * sizes["embedding"]  # of unit rows, of scaled
    return tells_apart(*lengths) and sizes["height"] != sizes["width"] and not sum_is_mean


def _symbols(sizes: Sizes) -> dict[str, int]:
    return {"B": sizes["batch"], "D": sizes["embedding"]}


PROBLEM = Problem(
    number=49,
    slug="distill_step",
    title="One step of distillation with a normalised L1 loss",
    teaches="a loss between embeddings, what is differentiated and what is not, TrainState",
    contracts=(loss.CONTRACT, step.CONTRACT),
    fields={
        "batch": range(2, 7),
        "height": range(1, 5),
        "width": range(1, 5),
        "channels": range(1, 4),
        "hidden": range(4, 9),
        "embedding": range(4, 9),
        "norm": (10.0, 2.5, 64),
    },
    derive=_derive,
    tells=_tells,
    corners=(
        {
            "batch": 1,
            "height": 2,
            "width": 2,
            "channels": 1,
            "hidden": 5,
            "embedding": 2,
            "norm": 100.0,
        },
        {
            "batch": 9,
            "height": 1,
            "width": 1,
            "channels": 3,
            "hidden": 4,
            "embedding": 9,
            "norm": 0.5,
        },
        {
            "batch": 3,
            "height": 2,
            "width": 3,
            "channels": 1,
            "hidden": 4,
            "embedding": 5,
            "norm": 1e6,
        },
        {
            "batch": 20,
            "height": 1,
            "width": 1,
            "channels": 2,
            "hidden": 4,
            "embedding": 1,
            "norm": 2.5,
            "image_scale": 200.0,
        },
    ),
    symbols=_symbols,
    stages=(
        Stage("targets", "teacher's embeddings, step {i}"),
        Stage(
            "embeddings", "student's embeddings, step {i}", given="the state that step {i} returned"
        ),
        Stage("student_scaled", "student's embeddings, scaled"),
        Stage("teacher_scaled", "teacher's embeddings, scaled"),
        Stage("loss", "loss"),
    ),
    variants=step.VARIANTS,
    pitfalls=(*loss_pitfalls.PITFALLS, *step_pitfalls.PITFALLS),
    hints=(
        "Begin with the loss and the numbers of the walk-through. It is graded on its own.",
        (
            "In the step, ask of every value: may it change with the student's parameters? What "
            "may belongs into the function that you differentiate, what may not stays outside."
        ),
        (
            "The teacher's embeddings, as constants; a function from parameters to the loss; its "
            "value and its gradient in one call; and the state's own way to apply a gradient."
        ),
    ),
)

"""Problem 50: schedule, mask, optimiser and training step, a module for each of the four."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grader.problem import Problem, Sizes, Stage
from grader.specs.p50_train_step import (
    loss_pitfalls,
    mask,
    optimizer,
    schedule,
    step,
    step_pitfalls,
)
from grader.specs.shapes import tells_apart


def _derive(fields: Mapping[str, Any]) -> Sizes:
    pixels = fields["height"] * fields["width"] * fields["channels"]
    total = fields["warmup_steps"] + fields["decay_steps"]
    return {**fields, "pixels": pixels, "total_steps": total}


def _tells(sizes: Sizes) -> bool:
    lengths = (sizes["batch"], sizes["hidden"], sizes["classes"], sizes["pixels"], step.STEPS)
    apart = sizes["height"] != sizes["width"] and sizes["warmup_steps"] != sizes["decay_steps"]
    return apart and tells_apart(*lengths)


def _symbols(sizes: Sizes) -> dict[str, int]:
    return {"B": sizes["batch"], "K": sizes["classes"]}


PROBLEM = Problem(
    number=50,
    slug="train_step",
    title="Optimiser and training step",
    teaches="warm-up and cosine, selective weight decay, clipping, label smoothing, TrainState",
    contracts=(schedule.CONTRACT, mask.CONTRACT, optimizer.CONTRACT, step.CONTRACT),
    fields={
        "base_lr": (1.0, 0.5, 0.25),
        "warmup_steps": range(2, 6),
        "decay_steps": range(3, 10),
        "weight_decay": (0.5, 0.25, 2),
        "max_norm": (1.0, 0.5, 2.0),
        "label_smoothing": (0.25, 0.75, 0.0, 0.0625),
        "output_scale": (1.0, 8.0),
        "batch": range(4, 10),
        "height": range(1, 4),
        "width": range(1, 4),
        "channels": range(1, 4),
        "hidden": range(4, 9),
        "classes": range(4, 9),
    },
    derive=_derive,
    tells=_tells,
    corners=(
        {
            "base_lr": 3.0,
            "warmup_steps": 1,
            "decay_steps": 1,
            "weight_decay": 0.0,
            "max_norm": 32.0,
            "label_smoothing": 0.25,
            "output_scale": 8.0,
            "batch": 1,
            "height": 2,
            "width": 2,
            "channels": 1,
            "hidden": 5,
            "classes": 2,
        },
        {
            "base_lr": 2.0**-16,
            "warmup_steps": 300,
            "decay_steps": 1000,
            "weight_decay": 0.5,
            "max_norm": 0.125,
            "label_smoothing": 2.0**-7,
            "output_scale": 1000.0,
            "batch": 33,
            "height": 1,
            "width": 1,
            "channels": 3,
            "hidden": 4,
            "classes": 300,
            "image_scale": 200.0,
        },
    ),
    symbols=_symbols,
    stages=(
        Stage("logits", "logits, step {i}", given="the state that step {i} returned"),
        Stage("targets", "smoothed targets"),
        Stage("losses", "cross-entropy of each image", negated=True),
    ),
    pitfalls=(
        *schedule.PITFALLS,
        *mask.PITFALLS,
        *optimizer.PITFALLS,
        *loss_pitfalls.PITFALLS,
        *step_pitfalls.PITFALLS,
    ),
    hints=(
        (
            "Four small problems: begin with the one you like. For schedule, mask and clipping the "
            "walk-through has numbers to compare with."
        ),
        (
            "optax has a part for each: two schedules that are joined, clipping, AdamW, smoothing, "
            "cross-entropy. Read what each of their arguments counts: steps from where to where?"
        ),
        (
            "Schedule: line and cosine, joined at the end of the warm-up. Mask: look at the last "
            "entry of each path. Optimiser: clip, then AdamW. Step: a function from parameters to "
            "loss and logits, its value and gradient in one call, and the state's own way to "
            "apply it."
        ),
    ),
)

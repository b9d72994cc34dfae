"""Answers in the place of a student's, for tests of ``--mine``."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from grader import catalogue
from grader.catalogue import ROOT
from grader.study import progress
from solutions.training import Recipe
from solutions.training.data import Dataset
from solutions.training.mine import Mine, answers
from tests.training.conftest import TINY

ANSWERS = ROOT / "tests" / "answers"


def hand_in(desk: Path, number: int, answer: Path, passed: bool = True) -> None:
    source = answer.read_text()
    (desk / catalogue.solution_path(number).name).write_text(source)
    text = progress.fingerprint(source if passed else source + " ")
    known = progress.read()
    known[number] = known.get(number, progress.Reached(1.0)).with_passed(text)


def differently_written(desk: Path, data: Dataset) -> Mine:
    """A model and a step that pass and look nothing like the reference."""
    hand_in(desk, 46, ANSWERS / "46_vit_cls" / "right" / "setup_fused_qkv.py")
    hand_in(desk, 50, ANSWERS / "50_train_step" / "right" / "by_hand.py")
    return answers(recipe(), data.image_shape, 2)


def recipe(**changes: object) -> Recipe:
    return dataclasses.replace(TINY, width=12, position_std=1.0, **changes)  # type: ignore[arg-type]

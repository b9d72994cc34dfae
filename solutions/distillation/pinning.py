"""The teacher that a distillation names: found once, and found again when it is resumed."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import jax
import numpy as np

from solutions.distillation.run_teacher import run_teacher
from solutions.distillation.safetensors_file import PretrainedError, pinned
from solutions.distillation.settings import Distillation
from solutions.distillation.teacher import Teacher, clip_teacher
from solutions.training import runs


def pinned_teacher(asked: Distillation) -> tuple[Distillation, Teacher]:
    """The teacher that ``asked`` names, and ``asked`` with words for exactly this one.

    The first time the name becomes a full path, or a repository with the commit that was
    fetched; step and fingerprint are noted. With a fingerprint noted, the same teacher is
    returned or none.

    Args:
      asked: with a ``teacher``.

    Raises:
      PretrainedError: it cannot be had, is gone, or is another than it was.
      NoRun, NoCheckpoint, BadRecipe: it is a run that cannot be read, or not at that step.

    """
    assert asked.teacher is not None
    folder, known, step = Path(asked.teacher), asked.teacher_print, asked.teacher_step
    if known and folder.is_absolute() and not folder.exists():
        raise PretrainedError(f"the teacher {folder} is gone; put it back to go on")
    if (folder / "run.json").exists():
        step, teacher = run_teacher(runs.read(folder), step)
        name = str(folder.resolve())
    else:
        name = pinned(asked.teacher)
        teacher = clip_teacher(name)
    found = fingerprint(teacher.params)
    if known not in (None, found):
        raise PretrainedError(
            f"the teacher {asked.teacher} is not the one that this distillation began with; begin "
            "a new one"
        )
    exactly = dataclasses.replace(asked, teacher=name, teacher_step=step, teacher_print=found)
    return exactly, teacher


def fingerprint(params: Any) -> str:
    """Sixteen hexadecimal digits that change with any name, shape or value in a tree of arrays."""
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        values = np.ascontiguousarray(leaf)
        digest.update(f"{jax.tree_util.keystr(path)} {values.dtype} {values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()[:16]

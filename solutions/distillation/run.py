"""``distill``: from a teacher and images to a student, in a notebook or from the command line."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from solutions.distillation.objectives import NEED_CLASSES, NEED_PROTOTYPES, objective
from solutions.distillation.pinning import pinned_teacher
from solutions.distillation.retrieval import class_prototypes
from solutions.distillation.run_teacher import as_teacher, with_prototypes
from solutions.distillation.settings import Distillation
from solutions.distillation.student import ViTExtraHead
from solutions.distillation.task import distillation_task, student_apply, student_of
from solutions.distillation.teacher import Teacher
from solutions.training import data as data_module
from solutions.training.checkpoints import Checkpoints
from solutions.training.data import BadData, Dataset
from solutions.training.devices import Placement
from solutions.training.loop import Watch, fit
from solutions.training.models import grid_of
from solutions.training.recipe import Recipe
from solutions.training.train import Trained, planned, train

PROTOTYPE_IMAGES = 2000
"""How many training images the class prototypes are made of, at most."""

_BATCH = 250


class TeacherUnfinished(RuntimeError):
    """A teacher whose training was stopped before the end."""


@dataclass(frozen=True)
class Distilled:
    """What `distill` returns.

    Attributes:
      asked: what was distilled, with the width of the student.
      history: one dict for each epoch: train_loss, test_loss, test_cosine (the last two None
        where it was not tested) and what `solutions.training.loop.Fitted` adds.
      params: the student's.
      student: the module.
      teacher: what it learned from.
      data: the images.
      step: how many steps were made.
      finished: False when it was asked to stop before the end.

    """

    asked: Distillation
    history: tuple[dict[str, float], ...]
    params: Any
    student: ViTExtraHead
    teacher: Teacher
    data: Dataset
    step: int
    finished: bool

    def __repr__(self) -> str:
        """A line, where all the arrays would be thousands."""
        done = "finished" if self.finished else "stopped"
        return f"<Distilled {self.asked.recipe.name}: {done} at step {self.step}>"

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the student's patches."""
        return grid_of(self.asked.recipe, self.data.image_shape)

    @cached_property
    def _student(self) -> Any:
        apply = student_apply(self.student, self.asked.recipe, self.data.statistics)
        return jax.jit(apply)

    def embed(self, images: np.ndarray) -> Float[np.ndarray, "N D"]:
        """The student's embeddings of uint8 images (N, H, W, C)."""
        variables = {"params": self.params}
        return in_batches(lambda part: self._student(variables, part), images)

    def prepared(self, images: np.ndarray) -> Float[np.ndarray, "N H W C"]:
        """The uint8 images as the student's module wants them."""
        mean, std = (np.asarray(values, np.float32) for values in self.data.statistics)
        return (images.astype(np.float32) - mean) / std


def distill(
    asked: Distillation | None = None,
    *,
    seed: int = 0,
    data: Dataset | None = None,
    teacher: Teacher | None = None,
    out: Path | str | None = None,
    watch: Watch | None = None,
    devices: Sequence[jax.Device] | None = None,
    tell: Any = print,
) -> Distilled:
    """Distil what ``asked`` describes; the same settings, seed and device give the same result.

    Args:
      asked: every choice; on digits, with a teacher trained on the spot, unless given.
      seed: of the student and the order of the images (and of a teacher trained on the spot).
      data: images, where those that the recipe names are not meant.
      teacher: in place of the one that ``asked`` names.
      out: a folder for checkpoints; when it holds some of the same run, the run is resumed.
      watch: who looks on, see `solutions.training.loop.Watch`.
      devices: all unless given.
      tell: gets lines worth telling.

    Raises:
      BadRecipe, BadData, BadDevices: something does not fit; one line that says what.
      PretrainedError, NoRun: the teacher cannot be had, or is another than when it began.
      TeacherUnfinished: ``watch`` stopped the training of the teacher.
      NotANumber: the loss is NaN or infinite.
      CannotSave: a checkpoint cannot be written.
      NoRoom: images, parameters or a step do not fit into memory.
      AnotherRun: ``out`` holds the checkpoints of other settings or another seed.

    """
    asked = asked or Distillation()
    data = data_module.load(asked.recipe.data, asked.recipe.image_size) if data is None else data
    if teacher is None:
        if asked.teacher is None:
            teacher = teacher_of(asked, data, seed, out, watch, tell)
        else:
            asked, teacher = pinned_teacher(asked)
    prototypes = None
    if asked.loss in NEED_PROTOTYPES or (asked.loss in NEED_CLASSES and teacher.classify is None):
        prototypes = _prototypes(teacher, data)
        teacher = with_prototypes(teacher, prototypes)
    asked = asked.sized(embedding_length(teacher, data.image_shape))
    recipe = asked.recipe
    plan, place = planned(recipe, data, seed, devices)
    student = student_of(asked)
    total_steps = plan.total_steps(len(data.train_images))
    here = _everywhere(teacher, place)
    goal = objective(asked, _classifier(here), prototypes)
    task = distillation_task(
        asked, student, here, goal, data.image_shape, data.statistics, total_steps
    )
    checkpoints = None
    if out is not None:
        name = _name(asked, seed, data)
        checkpoints = Checkpoints(Path(out) / "checkpoints", recipe.keep, tell, name)
    try:
        with _weights_as_arguments():
            fitted = fit(task, data, plan, place, checkpoints, watch)
    finally:
        if checkpoints is not None:
            checkpoints.close()
    state = jax.device_get(fitted.state["params"])
    return Distilled(
        asked, fitted.history, state, student, teacher, data, fitted.step, fitted.finished
    )


def _name(asked: Distillation, seed: int, data: Dataset) -> str:
    """Whose checkpoints these are; images are known by their digest, so their place is left out."""
    anywhere = asked.with_changes({"data": Recipe.data}, {})
    return f"{anywhere} seed={seed} images={data.digest}"


def teacher_of(
    asked: Distillation,
    data: Dataset,
    seed: int = 0,
    out: Path | str | None = None,
    watch: Watch | None = None,
    tell: Any = print,
) -> Teacher:
    """The teacher that a distillation names: a run, CLIP, or one trained here.

    Args:
      asked: names it.
      data: to train one on.
      seed: to train one from.
      out: the folder of the distillation; one that is trained goes into ``teacher`` in it.
      watch: who looks on while it is trained.
      tell: gets lines worth telling.

    Raises:
      PretrainedError, NoRun, NoCheckpoint, BadRecipe: it cannot be had.
      TeacherUnfinished: ``watch`` stopped its training.

    """
    if asked.teacher is not None:
        return pinned_teacher(asked)[1]
    folder = None if out is None else Path(out) / "teacher"
    trained = train(asked.teacher_recipe, seed=seed, data=data, out=folder, watch=watch, tell=tell)
    return teacher_from(trained)


def teacher_from(trained: Trained) -> Teacher:
    """What `solutions.training.train` returned, as a teacher.

    Raises:
      TeacherUnfinished: it was stopped before the end.

    """
    if not trained.finished:
        raise TeacherUnfinished(
            f"the training of the teacher was stopped at step {trained.step}: half a teacher "
            "teaches nobody. Resume it first"
        )
    data = trained.data
    shape, count = data.image_shape, len(data.classes)
    return as_teacher(trained.recipe, shape, count, trained.params, data.statistics)


def in_batches(run: Any, images: np.ndarray) -> np.ndarray:
    """``run`` on uint8 images (N, H, W, C), brought to 0 to 1, by parts of one size."""
    count, parts = len(images), []
    for start in range(0, count, _BATCH):
        part = images[start : start + _BATCH]
        missing = _BATCH - len(part) if count > _BATCH else 0
        filled = np.pad(part, [(0, missing)] + [(0, 0)] * 3)
        parts.append(np.asarray(run(filled.astype(np.float32) / 255))[: len(part)])
    return np.concatenate(parts)


def teacher_embeddings(teacher: Teacher, images: np.ndarray) -> Float[np.ndarray, "N D"]:
    """The teacher's embeddings of uint8 images (N, H, W, C)."""
    return in_batches(teacher, images)


def embedding_length(teacher: Teacher, image_shape: tuple[int, int, int]) -> int:
    """How long the teacher's embedding is; nothing is computed."""
    images = jax.ShapeDtypeStruct((1, *image_shape), np.float32)
    return int(jax.eval_shape(teacher.apply, {"params": teacher.params}, images).shape[-1])


def of_all_classes(labels: np.ndarray, count: int) -> Int[np.ndarray, " n"]:
    """Rows of up to ``count`` images, as many of each class as there is room for, in order."""
    classes = np.unique(labels)
    each = max(1, count // len(classes))
    return np.sort(np.concatenate([np.flatnonzero(labels == k)[:each] for k in classes]))


def _prototypes(teacher: Teacher, data: Dataset) -> Float[np.ndarray, "K D"]:
    rows = of_all_classes(data.train_labels, PROTOTYPE_IMAGES)
    missing = np.setdiff1d(np.arange(len(data.classes)), data.train_labels)
    if missing.size:
        name = data.classes[int(missing[0])]
        raise BadData(f"{data.name}: class {name!r} has no training image to make a prototype of")
    embeddings = teacher_embeddings(teacher, data.train_images[rows])
    return class_prototypes(embeddings, data.train_labels[rows])


def _everywhere(teacher: Teacher, place: Placement) -> Teacher:
    """The teacher with its weights on all devices."""
    params = jax.tree.map(lambda leaf: place.everywhere(np.asarray(leaf)), teacher.params)
    return dataclasses.replace(teacher, params=params)


def _classifier(teacher: Teacher) -> Any:
    classify = teacher.classify
    if classify is None:
        return None
    return lambda embedding: classify(teacher.params, embedding)


@contextlib.contextmanager
def _weights_as_arguments() -> Iterator[None]:
    """Within this block compiled programs take the arrays that they close over as arguments.

    Else the teacher's weights would be written into each program: 350 MB of text for CLIP, and a
    compiled program that fits no other teacher.
    """
    name = "jax_use_simplified_jaxpr_constants"
    before = getattr(jax.config, name, None)
    if before is None:  # one way only, in some later version
        yield
        return
    jax.config.update(name, True)
    try:
        yield
    finally:
        jax.config.update(name, before)


__all__ = ["Distilled", "TeacherUnfinished", "distill", "teacher_of"]

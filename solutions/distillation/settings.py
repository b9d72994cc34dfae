"""What a distillation is made of: every choice in one frozen record.

The default, teacher and report included, took 66 s from the command to the prompt on 2 idle cores
of an AMD EPYC; cosine with the teacher 0.973, linear probe 97.8 % as the teacher's (seed 0).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from solutions.training.recipe import BadRecipe, Recipe

LOSSES = ("l1", "cosine", "kl", "kl-deit", "hard", "affinity")
SOFTENED = ("kl", "kl-deit")
"""The losses with a temperature."""

TEMPERATURE = 2.0

STUDENT = Recipe(
    name="distill-digits",
    model="extra_head",
    patch_size=2,
    heads=4,
    depth=3,
    epochs=40,
    batch_size=64,
    base_lr=4e-3,
    position_std=1.0,
    eval_every=2,
    checkpoint_every=5,
    label_smoothing=0.0,
)
"""The student and its schedule. Its width and MLP follow from the teacher's embedding."""

TEACHER = Recipe(
    name="teacher-digits",
    model="cls",
    patch_size=2,
    width=64,
    heads=4,
    depth=4,
    mlp=128,
    position_std=1.0,
    epochs=40,
    batch_size=64,
    base_lr=2e-3,
    eval_every=5,
    checkpoint_every=5,
)
"""The teacher that is trained on the spot where none is given."""

_OFF = "label_smoothing", "ema", "drop_path", "mixup", "cutmix", "mixup_off", "trivial_augment"
_NOT_HERE = ("model", "width", "mlp", "registers", "start")


@dataclass(frozen=True)
class Distillation:
    """One distillation.

    Attributes:
      recipe: data, patches, heads and depth of the student, schedule and optimiser. The model is
        `ViTExtraHead`; its width is the teacher's embedding plus a channel for each head, its
        MLP four times as wide.
      teacher: folder of a run, or CLIP's vision tower (path, or repository on Hugging Face's
        hub); None trains ``teacher_recipe`` first.
      teacher_recipe: the teacher that is trained where none is given.
      loss: ``l1`` (problem 49), ``cosine`` (with MSE), ``kl`` or ``kl-deit``, ``hard``,
        ``affinity``; see `solutions.distillation.objectives`.
      norm: of problem 49's loss.
      temperature: of ``kl`` and ``kl-deit``.
      same_norm, neighbours_only: of `ViTExtraHead`.
      teacher_step, teacher_print: which checkpoint of a run the teacher is, and the fingerprint
        of its weights; noted when it is first read (`solutions.distillation.pinning`).

    """

    recipe: Recipe = STUDENT
    teacher: str | None = None
    teacher_recipe: Recipe = TEACHER
    loss: str = "l1"
    norm: float = 100.0
    temperature: float = TEMPERATURE
    same_norm: bool = True
    neighbours_only: bool = False
    # Not part of the name of the checkpoints: they say which teacher was found, not what was asked.
    teacher_step: int | None = dataclasses.field(default=None, repr=False)
    teacher_print: str | None = dataclasses.field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise BadRecipe(f"the loss is {self.loss!r}; it may be {', '.join(LOSSES)}")
        for field in ("norm", "temperature"):
            if not getattr(self, field) > 0:
                raise BadRecipe(f"{field} is {getattr(self, field)}; it must be positive")
        if self.temperature != TEMPERATURE and self.loss not in SOFTENED:
            raise BadRecipe(
                f"temperature is for the losses {' and '.join(SOFTENED)}; the loss is {self.loss}"
            )
        if self.recipe.model != "extra_head":
            raise BadRecipe(f"the student is extra_head, not {self.recipe.model}")
        for field in _OFF:
            if getattr(self.recipe, field):
                raise BadRecipe(f"a distillation has no {field}; set it to 0")
        if self.recipe.start != "problems":
            raise BadRecipe("a distillation starts as the problems say")

    def with_changes(self, student: dict[str, str], teacher: dict[str, str]) -> Distillation:
        """The distillation with fields of the two recipes set from text; ``data`` is one for both.

        Raises:
          BadRecipe: there is no such field here, or the text is no value for it.

        """
        for field in student:
            if field in _OFF:
                raise BadRecipe(f"a distillation has no {field}")
            if field in _NOT_HERE:
                raise BadRecipe(
                    f"{field} cannot be set here: the student is extra_head, as wide as the "
                    "teacher's embedding and a channel for each head, and starts as the problems do"
                )
        for field in ("data", "image_size"):
            if field in teacher:
                raise BadRecipe(
                    f"{field} of the teacher cannot be set: it is trained on the student's images"
                )
        recipe = self.recipe.with_changes(student)
        taught = self.teacher_recipe.with_changes(teacher)
        taught = dataclasses.replace(taught, data=recipe.data, image_size=recipe.image_size)
        return dataclasses.replace(self, recipe=recipe, teacher_recipe=taught)

    def sized(self, embedding: int) -> Distillation:
        """The distillation with the width that a teacher's embedding asks for.

        Raises:
          BadRecipe: the heads do not divide it.

        """
        heads = self.recipe.heads
        if embedding % heads:
            raise BadRecipe(f"heads is {heads}; it must divide the embedding, {embedding}")
        width = embedding + heads
        recipe = dataclasses.replace(self.recipe, width=width, mlp=4 * width)
        return dataclasses.replace(self, recipe=recipe)


def from_json(told: dict[str, Any]) -> Distillation:
    """The distillation that `dataclasses.asdict` made a dict of.

    Raises:
      BadRecipe, TypeError, KeyError: it is none.

    """
    recipes = {name: Recipe(**told[name]) for name in ("recipe", "teacher_recipe")}
    return Distillation(**{**told, **recipes})

"""What a training run is made of: every choice in one frozen record."""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import math
import pkgutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

MODELS = ("mean_pool", "cls", "registers", "extra_head")
OPTIMIZERS = ("adamw", "muon")
STARTS = ("problems", "mimetic")
DTYPES = ("auto", "float32", "bfloat16")


class BadRecipe(ValueError):
    """A recipe that cannot be trained; the message says which field and what it may be."""


@dataclass(frozen=True)
class Recipe:
    """One training run.

    Attributes:
      name: what the run is called.
      data: ``digits``, a dataset on Hugging Face (``cifar10``, ``cifar100``, ``fashion_mnist``,
        ``mnist``), or a folder; empty where a recipe is for images of one's own.
      image_size: side in pixels to which images are resized when decoded; None keeps theirs.
      model: ``mean_pool`` (problem 45), ``cls`` (46), ``registers`` (47), ``extra_head`` (48).
      patch_size, width, heads, depth, mlp: the sizes of the model; ``mlp`` is ``d_ff``.
      registers: how many tokens without a place, for ``registers`` only.
      position_std: standard deviation with which the position table starts (with a mimetic start
        the root mean square).
      start: ``problems``, parameters start as the problems say, or ``mimetic``, see `initial`.
      epochs, batch_size: how long, and how many images a step sees.
      base_lr: learning rate at the end of the warm-up.
      warmup: share of all steps in which it grows, between 0 and 1.
      weight_decay: AdamW's and Muon's, on the kernels.
      max_norm: gradients are clipped to this global norm.
      label_smoothing: share of the target that is spread over all classes.
      optimizer: ``adamw`` or ``muon`` (matrices by Muon, everything else by AdamW).
      muon_lr: Muon's learning rate at the end of the warm-up; None takes ``base_lr``, since Muon's
        updates are scaled to the size of AdamW's.  In short runs on CIFAR-10 twice as much was
        better (see the recipe ``cifar10-small``).
      ema: decay of the moving average of the weights that is evaluated; 0 turns it off.
      drop_path: stochastic depth, the probability with which each branch of the last block,
        attention and MLP on their own, is left out for an image (it grows linearly from 0 at the
        first block, so a model of one block leaves out nothing); 0 turns it off.
      shift: random shift by up to so many pixels in each direction.
      flip: mirror half of the images.
      trivial_augment: move or recolour each image by chance, see `trivial`.
      mixup, cutmix: parameter of the Beta distribution; 0 turns it off.
      mixup_off: share of all steps, at the end, in which images are not mixed any more.
      dtype: of the computation: ``float32``, ``bfloat16`` or ``auto`` (bfloat16 on accelerators).
        Parameters and optimiser are float32 always.  With ``float32`` products are as exact as JAX
        makes them by default: on NVIDIA's GPUs from Ampere on their operands are rounded to TF32,
        on TPUs to bfloat16, unless ``JAX_DEFAULT_MATMUL_PRECISION=highest`` is set.  With
        ``bfloat16`` accelerators round the logits, too; loss and softmax are float32.
      eval_every, checkpoint_every: in epochs.
      keep: how many checkpoints stay.

    """

    name: str = "custom"
    data: str = "digits"
    image_size: int | None = None
    model: str = "cls"
    patch_size: int = 2
    width: int = 64
    heads: int = 4
    depth: int = 4
    mlp: int = 128
    registers: int = 4
    position_std: float = 0.02
    start: str = "problems"
    epochs: int = 30
    batch_size: int = 128
    base_lr: float = 1e-3
    warmup: float = 0.1
    weight_decay: float = 0.05
    max_norm: float = 1.0
    label_smoothing: float = 0.1
    optimizer: str = "adamw"
    muon_lr: float | None = None
    ema: float = 0.0
    drop_path: float = 0.0
    shift: int = 0
    flip: bool = False
    trivial_augment: bool = False
    mixup: float = 0.0
    cutmix: float = 0.0
    mixup_off: float = 0.0
    dtype: str = "auto"
    eval_every: int = 1
    checkpoint_every: int = 1
    keep: int = 2

    def __post_init__(self) -> None:
        _check_types(self)
        _check_ranges(self)
        known_words = {
            "model": MODELS,
            "start": STARTS,
            "optimizer": OPTIMIZERS,
            "dtype": DTYPES,
        }
        for field, known in known_words.items():
            if getattr(self, field) not in known:
                raise BadRecipe(
                    f"{field} is {getattr(self, field)!r}; it may be {', '.join(known)}"
                )
        if Path(self.name).name != self.name or self.name in ("", ".."):
            raise BadRecipe(
                f"name is {self.name!r}; the folder of a run is called so: a word without / in it"
            )
        if self.image_size is not None and self.image_size < 1:
            raise BadRecipe(f"image_size is {self.image_size}; it must be at least 1, or none")
        if self.width % self.heads:
            raise BadRecipe(f"heads is {self.heads}; it must divide width, {self.width}")
        if self.model == "extra_head" and self.width == self.heads:
            raise BadRecipe(
                f"width is {self.width}; with extra_head it must be larger than heads, {self.heads}"
            )

    def __repr__(self) -> str:
        """What is unlike the defaults: runs are known by it, also when a field comes later."""
        values = dataclasses.asdict(self).items()
        default = {field.name: field.default for field in dataclasses.fields(self)}
        unlike = (f"{field}={value!r}" for field, value in values if value != default[field])
        return f"Recipe({', '.join(unlike)})"

    def warmup_steps(self, total_steps: int) -> int:
        """In how many steps of the whole run the learning rate grows: from 1 to all but one.

        Problem 50's schedule asks for that.

        Args:
          total_steps: of the whole run.

        Raises:
          BadRecipe: there are not even two.

        """
        if total_steps < 2:
            raise BadRecipe(
                f"the whole run has {total_steps} step, but the schedule needs two, one of them to "
                "warm up; ask for more epochs or a smaller batch_size"
            )
        return min(max(1, round(total_steps * self.warmup)), total_steps - 1)

    def with_changes(self, changes: dict[str, str]) -> Recipe:
        """The recipe with some fields set from text, as a command line gives them.

        Raises:
          BadRecipe: there is no such field, the text is no value for it, or it would do nothing.

        """
        hints = get_type_hints(Recipe)
        values: dict[str, Any] = {}
        for field, text in changes.items():
            if field not in hints:
                raise BadRecipe(f"a recipe has no {field!r}; {_meant(field, hints)}")
            values[field] = _parsed(field, text, hints[field])
        changed = dataclasses.replace(self, **values)
        for field in values:
            _check_has_effect(changed, field)
        return changed


def _check_has_effect(recipe: Recipe, field: str) -> None:
    """What is asked for and does nothing is a mistake; in a recipe it may wait for its partner."""
    partners = {
        "muon_lr": ("optimizer=muon", recipe.optimizer == "muon"),
        "mixup_off": ("mixup or cutmix", recipe.mixup or recipe.cutmix),
        "registers": ("model=registers", recipe.model == "registers"),
    }
    partner, there = partners.get(field, ("", True))
    if getattr(recipe, field) and not there:
        value = getattr(recipe, field)
        raise BadRecipe(f"{field} is {value}; without {partner} it does nothing")


def _meant(word: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(word, known, 1)
    there = "did you mean {}? There" if close else "there"
    return f"{there.format(*close)} are {', '.join(known)}"


def _parsed(field: str, text: str, kind: Any) -> Any:
    kinds = get_args(kind) or (kind,)
    if type(None) in kinds and text.lower() == "none":
        return None
    kind = next(k for k in kinds if k is not type(None))
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise BadRecipe(f"{field} is {text!r}; it may be true or false")
        return text.lower() == "true"
    try:
        return kind(text)
    except ValueError:
        raise BadRecipe(f"{field} is {text!r}; it must be of type {kind.__name__}") from None


def _check_types(recipe: Recipe) -> None:
    for field, kind in get_type_hints(Recipe).items():
        value, kinds = getattr(recipe, field), get_args(kind) or (kind,)
        if hasattr(value, "item"):  # a number of NumPy's, as sweeps have them
            value = value.item()
            object.__setattr__(recipe, field, value)
        fits = type(value) in kinds or (float in kinds and type(value) is int)
        if not fits:
            wanted = " or ".join(k.__name__ for k in kinds)
            raise BadRecipe(f"{field} is {value!r}; it must be of type {wanted}")


def _check_ranges(recipe: Recipe) -> None:
    for field, value in dataclasses.asdict(recipe).items():
        if isinstance(value, float) and not math.isfinite(value) and field != "max_norm":
            raise BadRecipe(f"{field} is {value}; it must be a finite number")
    for field in (
        *("patch_size", "width", "heads", "depth", "mlp", "epochs", "batch_size"),
        *("eval_every", "checkpoint_every", "keep"),
    ):
        if getattr(recipe, field) < 1:
            raise BadRecipe(f"{field} is {getattr(recipe, field)}; it must be at least 1")
    for field in ("base_lr", "max_norm", "position_std", "muon_lr"):
        if getattr(recipe, field) is not None and not getattr(recipe, field) > 0:
            raise BadRecipe(f"{field} is {getattr(recipe, field)}; it must be positive")
    for field in ("warmup", "label_smoothing", "ema", "drop_path", "mixup_off"):
        if not 0 <= getattr(recipe, field) < 1:
            raise BadRecipe(f"{field} is {getattr(recipe, field)}; it must be in [0, 1)")
    for field in ("weight_decay", "mixup", "cutmix", "shift", "registers"):
        if getattr(recipe, field) < 0:
            raise BadRecipe(f"{field} is {getattr(recipe, field)}; it must not be negative")


def named_recipes() -> tuple[str, ...]:
    """The names of the recipes that come with the course."""
    from solutions.training import recipes

    found = (module.name for module in pkgutil.iter_modules(recipes.__path__))
    return tuple(sorted(name.replace("_", "-") for name in found))


def named(name: str) -> Recipe:
    """The recipe with this name.

    Raises:
      BadRecipe: there is none.

    """
    if name not in named_recipes():
        raise BadRecipe(f"there is no recipe {name!r}; {_meant(name, named_recipes())}")
    module = importlib.import_module(f"solutions.training.recipes.{name.replace('-', '_')}")
    recipe: Recipe = module.RECIPE
    return recipe

"""The teacher: something that turns images into embeddings and is not trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from solutions.distillation.clip import ClipText, ClipVision
from solutions.distillation.pretrained import clip_text, clip_vision
from solutions.distillation.safetensors_file import read
from solutions.registers.capture import Rows

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
"""Of the pixels that CLIP was trained on, red, green, blue, for values from 0 to 1."""


@dataclass(frozen=True)
class Preparation:
    """How images are brought into the form that a teacher was trained on.

    Attributes:
      size: height and width in pixels; None leaves them.
      mean, std: of each channel, for values from 0 to 1; a single one of either serves all
        channels of the other.

    """

    size: tuple[int, int] | None = None
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    def __call__(self, images: Float[Array, "B H W C"]) -> Float[Array, "B h w c"]:
        """Resize (cubic), repeat a single channel where more are wanted, normalise.

        Raises:
          ValueError: the images have another number of channels than is wanted, and neither
            number is 1, so that nothing can be repeated.

        """
        channels, wanted = images.shape[-1], len(self.mean)
        if channels != wanted and 1 not in (channels, wanted):
            raise ValueError(f"images of {channels} channels; the teacher takes {wanted}")
        if self.size is not None and images.shape[1:3] != self.size:
            shape = (images.shape[0], *self.size, channels)
            images = jax.image.resize(images, shape, "cubic")
        return (images - jnp.asarray(self.mean)) / jnp.asarray(self.std)


# Compared by identity, so that `apply` can be a static argument of a compiled step.
@dataclass(frozen=True, eq=False)
class Teacher:
    """A frozen model that embeds images.

    ``apply`` has the form that problem 49's `distill_step` asks of ``teacher_apply``:

        distill_step(state, teacher.apply, teacher.params, images)

    Attributes:
      embed: parameters and one prepared image (h, w, c) to its embedding (D,).
      params: what ``embed`` needs.
      prepare: brings images with values from 0 to 1 into the model's form.
      grid: rows and columns of patches; None where there are none.
      module: the Linen module that ``embed`` runs, to look into (`solutions.registers.capture`);
        None where there is none.
      rows: which rows of that module's sequence are what; None where there are none.
      classify: parameters and an embedding (D,) to the logits (K,) of the teacher's classes;
        None where it knows no classes.

    """

    embed: Callable[[Any, Float[Array, "h w c"]], Float[Array, " D"]]
    params: Any
    prepare: Callable[[Float[Array, "B H W C"]], Float[Array, "B h w c"]] = Preparation()
    grid: tuple[int, int] | None = None
    module: nn.Module | None = None
    rows: Rows | None = None
    classify: Callable[[Any, Float[Array, " D"]], Float[Array, " K"]] | None = None

    def apply(
        self, variables: Mapping[str, Any], images: Float[Array, "B H W C"]
    ) -> Float[Array, "B D"]:
        """Return the embeddings (B, D) of images (B, H, W, C) with values from 0 to 1."""
        params = variables["params"]
        return jax.vmap(lambda image: self.embed(params, image))(self.prepare(images))

    def __call__(self, images: Float[Array, "B H W C"]) -> Float[Array, "B D"]:
        """Return `apply` with the teacher's own parameters, compiled."""
        return _compiled(self, {"params": self.params}, images)


@partial(jax.jit, static_argnums=0)
def _compiled(
    teacher: Teacher, variables: Mapping[str, Any], images: Float[Array, "B H W C"]
) -> Float[Array, "B D"]:
    return teacher.apply(variables, images)


def clip_teacher(source: str | Path) -> Teacher:
    """CLIP's vision tower as a teacher.

    Args:
      source: see `solutions.distillation.safetensors_file.read`; for example a folder, or
        ``openai/clip-vit-base-patch32@refs/pr/66`` on the hub.

    Returns:
      The teacher. It resizes whole images, where CLIP's own preparation cuts out the middle.

    Raises:
      PretrainedError: the weights cannot be had or do not fit.

    """
    model, params = clip_vision(read(source))
    side = _side(model, params)
    grid = (side // model.patch_size, side // model.patch_size)
    return Teacher(
        embed=lambda params, image: model.apply({"params": params}, image),
        params=jax.tree.map(jnp.asarray, params),
        prepare=Preparation((side, side), CLIP_MEAN, CLIP_STD),
        grid=grid,
        module=model,
        rows=Rows.of(grid[0] * grid[1]),
    )


def text_embedder(source: str | Path) -> Callable[[Int[Array, "B T"]], Float[Array, "B D"]]:
    """CLIP's text tower, to make query embeddings.

    Args:
      source: as for `clip_teacher`; the file must hold the text tower.

    Returns:
      A function from token ids (B, T), made by CLIP's tokenizer, to embeddings (B, D).

    Raises:
      PretrainedError: the weights cannot be had or do not fit.

    """
    model: ClipText
    model, params = clip_text(read(source))
    return jax.jit(jax.vmap(lambda ids: model.apply({"params": params}, ids)))


def _side(model: ClipVision, params: Mapping[str, Any]) -> int:
    """The side of the square images that the position table is for, in pixels."""
    patches = params["positions"].shape[0] - 1
    return round(patches**0.5) * model.patch_size

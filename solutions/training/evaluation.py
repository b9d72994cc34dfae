"""A trained model at work: on test images, and on image files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from solutions.training.augment import normalize
from solutions.training.checkpoints import Checkpoints, NoCheckpoint
from solutions.training.data import BadData
from solutions.training.decoding import decode
from solutions.training.models import PROBLEMS, Model, build
from solutions.training.runs import Run
from solutions.training.step import Statistics, best_params

_BATCH = 250


@dataclass(frozen=True)
class Classifier:
    """A model with its parameters and the statistics of the images it was trained on.

    Attributes:
      model, params: what was trained.
      statistics: mean and standard deviation of each channel.

    """

    model: Model
    params: Any
    statistics: Statistics

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Softmax of the logits (N, K), for uint8 images (N, H, W, C)."""
        parts = _parts(images)
        return np.concatenate(
            [np.asarray(self._softmax(self.params, part))[:count] for part, count in parts]
        )

    @cached_property
    def _softmax(self) -> Callable[..., jax.Array]:
        """Compiled with the parameters as arguments, so that the next run finds it in the cache."""

        def run(params: Any, images: jax.Array) -> jax.Array:
            logits = self.model.apply(params, normalize(images, *self.statistics))
            return jax.nn.softmax(logits)

        return jax.jit(run)

    def attention(self, image: np.ndarray) -> np.ndarray | None:
        """How much the last block attends to each patch (heads, rows, columns), for one image.

        From the CLS token where there is one, else the mean over all patches; None where the
        model does not show its weights, or has its tokens in an order of its own.
        """
        prepared = normalize(jnp.asarray(image)[None], *self.statistics)[0]
        weights = self.model.attention(self.params, prepared)
        rows, columns = self.model.grid
        first, patches = self.model.extra_tokens, rows * columns
        if weights is None or weights.shape[-1] < first + patches:
            return None
        weights = np.asarray(weights)
        seen = weights[:, 0] if first else weights.mean(axis=1)
        return seen[:, first : first + patches].reshape(-1, rows, columns)


def _parts(images: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
    """Batches of one size, the last filled up, and how many of each count."""
    for start in range(0, len(images), _BATCH):
        part = images[start : start + _BATCH]
        space = [(0, _BATCH - len(part) if len(images) > _BATCH else 0)] + [(0, 0)] * 3
        yield np.pad(part, space), len(part)


def of_run(run: Run) -> tuple[int, Classifier]:
    """The newest checkpoint of a run, and the step at which it was made.

    Raises:
      NoCheckpoint: there is none, or it cannot be read now.
      BadRecipe: the run trained a student's answer that is no longer there as it was.

    """
    if PROBLEMS[run.recipe.model] in run.mine:
        from solutions.training.mine import answers_of

        model = answers_of(run, step=False).model
        assert model is not None
    else:
        model = build(run.recipe, run.image_shape, len(run.classes))
    checkpoints = Checkpoints(run.folder / "checkpoints", read_only=True)
    try:
        step, state = checkpoints.newest_state()
    finally:
        checkpoints.close()
    params = best_params(state)
    if not _alike(params, jax.eval_shape(model.init, jax.random.key(0))):
        raise NoCheckpoint(
            f"{run.folder}: the checkpoint of step {step} has other parameters than the model of "
            "run.json, which is not as it was written"
        )
    return step, Classifier(model, params, (run.mean, run.std))


def _alike(params: Any, others: Any) -> bool:
    """Whether two trees have the same parameters, of the same shapes."""
    shapes, wanted = (
        {jax.tree_util.keystr(path): leaf.shape for path, leaf in leaves}
        for leaves in map(jax.tree_util.tree_leaves_with_path, (params, others))
    )
    return shapes == wanted


def read_image(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """An image file as the model wants it: size and channels of its training images.

    Raises:
      BadData: there is no such file, it is no image, or one of another size for a model whose
        images are not square.

    """
    try:
        encoded = path.read_bytes()
    except OSError as error:
        raise BadData(f"{path}: {error.strerror}") from None
    height, width, channels = shape
    image = decode(encoded, str(path), height if height == width else None)
    if image.shape[:2] != (height, width):
        raise BadData(
            f"{path}: an image of {image.shape[0]} × {image.shape[1]}, but the run has images of "
            f"{height} × {width}; bring it to that size"
        )
    return in_channels(image, channels)


def in_channels(image: np.ndarray, channels: int) -> np.ndarray:
    """A uint8 image (H, W, 1 or 3) in grey (1) or in colour (3)."""
    if channels == 1 and image.shape[-1] == 3:
        grey = image @ np.array([0.299, 0.587, 0.114])
        return np.round(grey).astype(np.uint8)[..., None]
    return np.repeat(image, channels, axis=-1) if image.shape[-1] < channels else image

"""Trained runs as subjects of the register lab, and the images to examine them on."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from solutions.registers.canvas import paste
from solutions.registers.capture import Rows
from solutions.registers.study import Images, Subject
from solutions.training import data as data_module
from solutions.training import runs
from solutions.training.checkpoints import AnotherRun, Checkpoints
from solutions.training.data import Dataset
from solutions.training.disk import saving, write_whole
from solutions.training.models import grid_of, linen_module
from solutions.training.recipe import BadRecipe, Recipe
from solutions.training.runs import NoRun, Run
from solutions.training.step import best_params

CANVAS_NOISE = 0.15
_TRAIN_IMAGES, _TEST_IMAGES, _CANVASES = 320, 128, 128
"""Multiples of the batch that `capture` takes at a time, so that it is compiled once."""

_DIGIT_SHARE = 2 / 3
SIDE = (12, 12)
TRAIN_COPIES = 3
"""How often each training digit is pasted: a small ViT has to see a digit in several places."""

_FAINT = 0.1
"""Resizing leaves a halo; fainter pixels are not part of the digit."""


def subject_of(run: Run, params: Any, name: str | None = None) -> Subject:
    """A run's model with parameters of one of its checkpoints.

    Raises:
      BadRecipe: the run trained a student's own answer, which cannot be looked into.

    """
    if run.mine:
        raise BadRecipe(
            f"{run.folder} trained answers of your own; the lab looks into runs without --mine"
        )
    recipe, grid = run.recipe, grid_of(run.recipe, run.image_shape)
    registers = recipe.registers if recipe.model == "registers" else 0
    has_cls = recipe.model in ("cls", "registers")
    return Subject(
        name or f"R = {registers}",
        linen_module(recipe, len(run.classes)),
        params["vit"] if recipe.model == "extra_head" else params,
        Rows.of(grid[0] * grid[1], has_cls, registers),
        grid,
        recipe.patch_size,
    )


def checkpoints_of(run: Run, most: int = 8) -> list[tuple[int, Any]]:
    """Step and parameters of up to ``most`` checkpoints of a run, spread evenly, the last one last.

    Raises:
      NoCheckpoint: there is none.

    """
    checkpoints = Checkpoints(run.folder / "checkpoints", read_only=True)
    try:
        last = checkpoints.newest_state()
        steps = [step for step in checkpoints.steps() if step < last[0]]
        chosen = {
            steps[round(i)] for i in np.linspace(0, len(steps) - 1, min(most - 1, len(steps)))
        }
        earlier = []
        for step in sorted(chosen):
            # A damaged one is missed, as when a run is resumed.
            with contextlib.suppress(Exception):
                earlier.append((step, checkpoints.state(step)))
    finally:
        checkpoints.close()
    return [(step, jax.device_get(best_params(state))) for step, state in [*earlier, last]]


def images_for(run: Run, data: Dataset | None = None, seed: int = 0) -> Images:
    """The images that a run is examined on: some of its own, and canvases of its size.

    A canvas is a digit of scikit-learn, two thirds as large as the image, on weak noise. Its box is
    known, as LOST needs it. The digits are those that no recipe trains on.

    Args:
      run: says size, channels, statistics and data.
      data: in place of the data that the run names.
      seed: of places and noise.

    Raises:
      BadData: the run's data cannot be read, or has images of another size.

    """
    data = data_module.load(run.recipe.data, run.recipe.image_size) if data is None else data
    if data.image_shape != run.image_shape:
        raise data_module.BadData(
            f"{data.name} has images of {data.image_shape}, {run.folder} of {run.image_shape}"
        )
    mean, std = (np.asarray(values, np.float32) for values in (run.mean, run.std))

    def prepared(images: np.ndarray) -> np.ndarray:
        return (images.astype(np.float32) - mean) / std

    chosen = np.random.default_rng(seed).permutation(len(data.train_images))[:_TRAIN_IMAGES]
    tested = np.random.default_rng(seed + 1).permutation(len(data.test_images))[:_TEST_IMAGES]
    found = []
    digits = data_module.digits().test_images
    # The second set chooses LOST's bias for the first, so its places and noise are others, too;
    # `write_canvases` takes the two seeds between.
    for part, seed_of in ((slice(0, _CANVASES), seed), (slice(_CANVASES, 2 * _CANVASES), seed + 4)):
        small = digits_of(digits[part], run.image_shape)
        canvases, boxes = paste(small, run.image_shape[:2], seed_of, CANVAS_NOISE)
        found.append((prepared(np.round(canvases * 255)), boxes))
    return Images(
        prepared(data.train_images[chosen]),
        data.train_labels[chosen],
        prepared(data.test_images[tested]),
        data.test_labels[tested],
        *found[0],
        *found[1],
    )


def digits_of(
    images: np.ndarray, image_shape: tuple[int, int, int]
) -> Float[np.ndarray, "B h h C"]:
    """Digits (B, 8, 8, 1) uint8 as values from 0 to 1, sized to two thirds of an image's side."""
    side = max(1, round(min(image_shape[:2]) * _DIGIT_SHARE))
    values = images.astype(np.float32) / 255
    if side != values.shape[1]:
        values = np.array(jax.image.resize(values, (len(values), side, side, 1), "linear"))
    values[values < _FAINT] = 0
    return np.repeat(values, image_shape[-1], axis=-1)


def write_canvases(folder: Path, seed: int = 0) -> Path:
    """Write the digits on canvases of 12 × 12 as class folders, as data of a training run.

    The train/test split is that of the digits. What is there already stays.

    Raises:
      BadData: those there are of another seed.
      CannotSave: they cannot be written.

    """
    from PIL import Image

    digits = data_module.digits()
    done = folder / "complete"
    if done.exists():
        there = done.read_text(encoding="utf-8").strip()
        if there != str(seed):
            raise data_module.BadData(
                f"{folder} holds canvases of seed {there or 'unknown'}, not {seed}; choose "
                "another folder"
            )
        return folder
    for part, seed_of, copies in (("train", seed + 2, TRAIN_COPIES), ("test", seed + 3, 1)):
        images = np.repeat(getattr(digits, f"{part}_images"), copies, axis=0)
        labels = np.repeat(getattr(digits, f"{part}_labels"), copies)
        canvases, _ = paste(digits_of(images, (*SIDE, 1)), SIDE, seed_of, CANVAS_NOISE)
        for i, (canvas, label) in enumerate(zip(canvases, labels, strict=True)):
            place = folder / part / digits.classes[label]
            pixels = np.round(canvas[..., 0] * 255).astype(np.uint8)
            with saving(folder):
                place.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(place / f"{i:04}.png")
    write_whole(done, f"{seed}\n")
    return folder


SMALL = Recipe(
    name="registers-digits",
    model="registers",
    patch_size=2,
    width=48,
    heads=4,
    depth=4,
    mlp=96,
    position_std=1.0,
    epochs=12,
    batch_size=64,
    base_lr=3e-3,
    eval_every=2,
    checkpoint_every=2,
    keep=100,
)
"""What the lab trains where no run is given: 64 patches of 2 × 2 on canvases of 12 × 12."""


_NOT_FREE = {
    "registers": "--counts says how many there are",
    "data": "the trained ones see canvases with digits; to look into runs on other images: "
    "python -m grader registers RUN",
}


def small_with(changes: dict[str, str]) -> Recipe:
    """`SMALL` with fields set from text.

    Raises:
      BadRecipe: one of them is given by the lab, there is none, or the text is no value for it.

    """
    for field, instead in _NOT_FREE.items():
        if field in changes:
            raise BadRecipe(f"{field} cannot be set here: {instead}")
    return SMALL.with_changes(changes)


def small_recipe(registers: int, data: Path, base: Recipe = SMALL) -> Recipe:
    """`SMALL` with so many registers, on the images in a folder."""
    name = f"{base.name}-r{registers}"
    return dataclasses.replace(base, name=name, registers=registers, data=str(data))


def new_or_same(run: Run) -> Run:
    """A run that is about to be trained, if its folder is free or holds that very run.

    Raises:
      AnotherRun: it holds a run of another recipe, seed or data. Nothing has been written.

    """
    try:
        there = runs.read(run.folder)
    except NoRun:
        return run
    if (there.recipe, there.seed, there.data_digest) != (run.recipe, run.seed, run.data_digest):
        raise AnotherRun(
            f"{run.folder} holds another run (another recipe, seed or data); choose another folder"
        )
    return run

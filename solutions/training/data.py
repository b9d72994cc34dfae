"""The images: loaded and decoded once, kept as uint8.

A `Dataset` is two piles of images with labels.  Where it comes from is a matter of three small
modules: the digits of scikit-learn (here), folders of Parquet files or of class folders
(`folders`), and downloads from Hugging Face (`hub`).
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

HELD_OUT = 0.2
SPLIT_SEED = 0
_DIGITS_SIDE = 8
_ENOUGH_IMAGES = 50_000
_PIXELS_AT_ONCE = 2**22
"""For the statistics."""


class BadData(ValueError):
    """Images that cannot be used; the message names the file and, where there is one, the row."""


class Labelled(NamedTuple):
    """Images (N, H, W, C) uint8, labels (N,) int32, and a name for each label."""

    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Dataset:
    """Images and labels to train on, and others to test on.

    Attributes:
      name: what it is called.
      train_images, test_images: uint8, (N, H, W, C).
      train_labels, test_labels: int32, (N,), from 0.
      classes: a name for each label.

    """

    name: str
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        for part in ("train", "test"):
            images, labels = getattr(self, f"{part}_images"), getattr(self, f"{part}_labels")
            for what, array in (("images", images), ("labels", labels)):
                if not hasattr(array, "dtype"):
                    raise BadData(
                        f"{self.name}: the {part} {what} are of type {type(array).__name__}; "
                        "np.asarray makes an array of them"
                    )
            if labels.dtype.kind not in "iu":
                raise BadData(
                    f"{self.name}: the {part} labels must be integers; they are {labels.dtype}"
                )
            if images.dtype != np.uint8 or images.ndim != 4:
                raise BadData(
                    f"{self.name}: the {part} images must be uint8 of shape (N, H, W, C); "
                    f"they are {images.dtype} of shape {images.shape}"
                )
            if labels.shape != images.shape[:1] or not len(images):
                raise BadData(
                    f"{self.name}: {len(images)} {part} images, {labels.shape} {part} labels"
                )
            if labels.min() < 0 or labels.max() >= len(self.classes):
                raise BadData(
                    f"{self.name}: {part} labels go from {labels.min()} to {labels.max()}, "
                    f"but there are {len(self.classes)} classes"
                )
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            raise BadData(
                f"{self.name}: images to train on are {self.train_images.shape[1:]}, "
                f"images to test on {self.test_images.shape[1:]}"
            )

    @property
    def tested(self) -> Labelled:
        """The part to test on."""
        return Labelled(self.test_images, self.test_labels, self.classes)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels."""
        return self.train_images.shape[1:]

    @cached_property
    def digest(self) -> str:
        """Tells these images, labels and classes, in this order, from all others: 16 hex digits."""
        told = hashlib.sha256(repr((self.image_shape, self.classes)).encode())
        for part in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            told.update(np.ascontiguousarray(part))
        return told.hexdigest()[:16]

    @cached_property
    def statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of each channel of the training images, on 0 to 255.

        Of all of them up to 50,000, else of every k-th with the smallest k that leaves no more:
        every second one of MNIST's 60,000.
        """
        # Class by class, as folders are read, the first ones would not do for all.
        some = self.train_images[:: -(-len(self.train_images) // _ENOUGH_IMAGES)]
        height, width, _ = self.image_shape
        at_once = max(1, _PIXELS_AT_ONCE // (height * width))
        parts = (some[start : start + at_once] for start in range(0, len(some), at_once))
        counts = sum(map(_how_often, parts))
        values, pixels = np.arange(256), len(some) * height * width
        mean = counts @ values / pixels
        std = np.sqrt(counts @ values**2 / pixels - mean**2)
        return tuple(mean.tolist()), tuple(np.maximum(std, 1e-3).tolist())


def _how_often(images: np.ndarray) -> np.ndarray:
    """Of each channel and value from 0 to 255, how many pixels have it (C, 256)."""
    channels = (images[..., channel].ravel() for channel in range(images.shape[-1]))
    return np.stack([np.bincount(channel, minlength=256) for channel in channels])


def load(source: str, image_size: int | None = None) -> Dataset:
    """The dataset called ``source``: ``digits``, one of `hub.NAMES`, or a folder.

    Args:
      source: a name or a path; empty in recipes for images of one's own.
      image_size: side in pixels to which images are resized when they are decoded.

    Raises:
      BadData: it does not exist or cannot be read; one line that says where and why.

    """
    if not source:
        raise BadData("this recipe is for images of your own: say --data FOLDER")
    if source == "digits":
        if image_size not in (None, _DIGITS_SIDE):
            raise BadData(
                f"image_size is {image_size}, but the digits are {_DIGITS_SIDE} × {_DIGITS_SIDE} "
                "and are not resized"
            )
        return digits()
    from solutions.training import folders, hub

    if source in hub.NAMES:
        return folders.load(hub.download(source), source, image_size)
    path = Path(located(source))
    if not path.is_dir():
        known = ("digits", *hub.NAMES)
        like = difflib.get_close_matches(path.name, known, 1)
        meant = f"; did you mean {like[0]}?" if like else ""
        raise BadData(
            f"there is no dataset {source!r}: no folder of this name, nor one of "
            f"{', '.join(known)}{meant}"
        )
    return folders.load(path, path.name, image_size)


def load_test(
    source: str,
    image_size: int | None,
    trained_on: str,
    trained_from: str = "",
    tell: Callable[[str], None] = print,
) -> Labelled:
    """The images of a dataset to test on.

    Of a folder without parts that is all of it; but the fifth that was held out, if the rest was
    trained on.

    Args:
      source: as for `load`.
      image_size: likewise.
      trained_on: the digest of what was trained on.
      trained_from: where that came from, if it is known.
      tell: gets a line where not all of it is tested, or images that were trained on are among it.

    Raises:
      BadData: as `load` does.

    """
    from solutions.training import folders, hub

    path = Path(located(source))
    if source and source not in ("digits", *hub.NAMES) and path.is_dir():
        found, is_part = folders.load_test(path, image_size)
        if is_part:
            return found
        with contextlib.suppress(BadData):  # too few for two parts
            parted = split(path.name, *found)
            if parted.digest == trained_on:
                tell(f"{source} was trained on, but for a fifth that was held out: that is tested")
                return parted.tested
        if str(path) == trained_from:
            tell(
                f"{source} has changed since this model was trained on it: all of it is tested, "
                "with images that it has learnt"
            )
        return found
    return load(source, image_size).tested


def located(source: str) -> str:
    """``source`` as it is found from any folder: a name as it is, a path from the root on."""
    from solutions.training import hub

    if source in ("", "digits", *hub.NAMES):
        return source
    return os.path.realpath(os.path.expanduser(source))


def digits() -> Dataset:
    """scikit-learn's handwritten digits: 1,797 images of 8 × 8, a fixed fifth held out.

    The 17 grey levels are spread over 0 to 255.  Source: Alpaydin & Kaynak 1998, UCI
    "Optical Recognition of Handwritten Digits", as ``sklearn.datasets.load_digits``.
    """
    from sklearn.datasets import load_digits

    found = load_digits()
    images = np.round(found.images * (255 / 16)).astype(np.uint8)[..., None]
    labels = found.target.astype(np.int32)
    return split("digits", images, labels, tuple(map(str, range(10))))


def split(name: str, images: np.ndarray, labels: np.ndarray, classes: tuple[str, ...]) -> Dataset:
    """Hold out a fifth of every class, and one image at least; always the same."""
    from sklearn.model_selection import train_test_split

    counts = np.bincount(labels, minlength=len(classes))
    if counts.min() < 2:
        rare = classes[int(counts.argmin())]
        raise BadData(
            f"{name}: class {rare!r} has {counts.min()} images; to hold out a fifth of each "
            "class, every class needs two"
        )
    rows = np.arange(len(labels))
    train, test = train_test_split(
        rows,
        test_size=max(round(len(rows) * HELD_OUT), len(classes)),
        stratify=labels,
        random_state=SPLIT_SEED,
    )
    unseen = np.setdiff1d(labels, labels[test])  # of so few images that a fifth is none
    moved = [train[labels[train] == label][0] for label in unseen]
    test = np.append(test, np.array(moved, test.dtype))
    train = train[~np.isin(train, moved)]
    return Dataset(name, images[train], labels[train], images[test], labels[test], classes)

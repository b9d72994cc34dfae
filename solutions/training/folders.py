"""Images from a folder: Parquet files in Hugging Face's layout, or a folder for each class.

Parquet: files whose names begin with ``train`` and with ``test`` (else ``validation`` or ``val``),
somewhere below the folder, with a column of encoded images and a column of labels.  A test part
without labels (-1 in all rows) is passed over.  Class folders: ``train/<class>/…`` and
``test/<class>/…`` (else ``validation``, ``val``), or only ``<class>/…``, of which a fifth is held
out.  Hidden files and files that are no images by their endings are passed over, too.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from solutions.training.data import BadData, Dataset, split
from solutions.training.one_line import one_line

_TRAIN, _TEST = ("train",), ("test", "validation", "val", "valid")
_LABELS = ("label", "fine_label", "labels", "class")
_IMAGES = ("image", "img")
_LARGEST_LABEL = 99_999
"""What is larger is a time or somebody's number; there would be a class for each below it."""
_SMALL = 10_000
"""Bytes of an image up to which most of the time is Python's own, so that threads only wait."""
_SUFFIXES = (".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
_NO_CLASS = "__MACOSX"
_NO_LABEL = -1


def load(folder: Path, name: str, image_size: int | None = None) -> Dataset:
    """What lies in a folder.

    Raises:
      BadData: nothing usable, or something damaged; the message names the file and the row.

    """
    parquet = sorted(folder.rglob("*.parquet"))
    if parquet:
        return _from_parquet(parquet, folder, name, image_size)
    return _from_class_folders(folder, name, image_size)


def _from_parquet(files: list[Path], folder: Path, name: str, size: int | None) -> Dataset:
    train, test = (_part(files, folder, words) for words in (_TRAIN, _TEST))
    classes = _classes([*train, *test])
    encoded = [[item for table in part for item in table.images] for part in (train, test)]
    train_labels, test_labels = (
        np.concatenate([table.labels for table in part]) for part in (train, test)
    )
    images = _decode_all(encoded[0] + encoded[1], size)
    train_images, test_images = np.split(images, [len(encoded[0])])
    return Dataset(name, train_images, train_labels, test_images, test_labels, classes)


def _part(files: list[Path], folder: Path, words: Sequence[str]) -> list[_Table]:
    """The files that begin with the first of ``words`` that any with labels begins with."""
    for word in words:
        tables = [_read(file) for file in files if file.name.startswith(word)]
        if tables and not all(table.unlabelled for table in tables):
            return tables
    raise BadData(
        f"{folder}: no Parquet file with labels whose name begins with {' or '.join(words)}"
    )


@dataclass(frozen=True)
class _Table:
    """One Parquet file: encoded images with the place of each, labels, names of the classes."""

    file: Path
    images: list[tuple[bytes, str]]
    labels: np.ndarray
    classes: tuple[str, ...]

    @property
    def unlabelled(self) -> bool:
        """Whether every label is -1, as in test parts whose labels are kept back."""
        return bool((self.labels == _NO_LABEL).all())


def _classes(tables: list[_Table]) -> tuple[str, ...]:
    """The names of the classes, the same in every file that has any; else their numbers."""
    named = [table for table in tables if table.classes]
    if not named:
        count = max(int(table.labels.max()) for table in tables) + 1
        return tuple(map(str, range(count)))
    first = named[0]
    for table in named:
        if table.classes != first.classes:
            raise BadData(
                f"{table.file} names other classes ({_listed(table.classes)}) than {first.file} "
                f"({_listed(first.classes)})"
            )
    for table in tables:
        row = int(table.labels.argmax())
        if table.labels[row] >= len(first.classes):
            raise BadData(
                f"{table.file}, row {row}: label {table.labels[row]}, but {first.file} names "
                f"{len(first.classes)} classes, counted from 0"
            )
    return first.classes


def _listed(classes: Sequence[str]) -> str:
    return ", ".join(classes[:5]) + (", …" if len(classes) > 5 else "")


def _read(file: Path) -> _Table:
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError:
        raise BadData(
            f"{file} is a Parquet file; to read it: pip install -c constraints.txt -e '.[train]'"
        ) from None
    try:
        table = parquet.read_table(file)
    except (arrow.ArrowException, OSError) as error:
        raise BadData(f"{file} cannot be read as Parquet: {one_line(error)}") from None
    if not table.num_rows:
        raise BadData(f"{file} has no rows")
    image_column = _column(file, table, _IMAGES, "encoded images")
    label_column = _column(file, table, _LABELS, "labels")
    images = []
    for row, cell in enumerate(table[image_column].to_pylist()):
        encoded = cell.get("bytes") if isinstance(cell, dict) else cell
        if not isinstance(encoded, bytes) or not encoded:
            raise BadData(f"{file}, row {row}: no encoded image in column {image_column!r}")
        images.append((encoded, f"{file}, row {row}"))
    labels = table[label_column].to_pylist()
    kept_back = all(label == _NO_LABEL for label in labels)
    for row, label in enumerate(labels):
        if type(label) is not int or (label < 0 and not kept_back):
            raise BadData(f"{file}, row {row}: {label!r} is no label; labels count from 0")
        if label > _LARGEST_LABEL:
            raise BadData(
                f"{file}, row {row}: {label} is too large for a label; at most {_LARGEST_LABEL}"
            )
    names = _class_names(table.schema, label_column)
    return _Table(file, images, np.array(labels, np.int32), names)


def _column(file: Path, table: Any, known: Sequence[str], what: str) -> str:
    for name in known:
        if name in table.column_names:
            return name
    raise BadData(
        f"{file} has no column of {what} ({' or '.join(known)}); it has "
        f"{', '.join(table.column_names)}"
    )


def _class_names(schema: Any, column: str) -> tuple[str, ...]:
    """The names that Hugging Face writes into the file's metadata, if they are there."""
    try:
        told = json.loads((schema.metadata or {})[b"huggingface"])
        return tuple(map(str, told["info"]["features"][column]["names"]))
    except (KeyError, TypeError, ValueError):
        return ()


def _from_class_folders(folder: Path, name: str, size: int | None) -> Dataset:
    children = {child.name.lower(): child for child in _inside(folder) if child.is_dir()}
    train = next((children[word] for word in _TRAIN if word in children), None)
    test = next((children[word] for word in _TEST if word in children), None)
    if train is None or test is None:
        lone = train or test
        if lone is not None and any(child.is_dir() for child in _inside(lone)):
            missing = " or ".join(_TEST if test is None else _TRAIN)
            raise BadData(f"{folder} has a folder {lone.name}, but none called {missing}")
        items, labels, classes = _read_classes(folder)
        return split(name, _decode_all(items, size), labels, classes)
    items, labels, classes = _read_classes(train)
    others, other_labels, other_classes = _read_classes(test)
    if classes != other_classes:
        odd = sorted(set(classes) ^ set(other_classes))
        raise BadData(f"{train} and {test} have different classes: {', '.join(odd[:5])}")
    train_images, test_images = np.split(_decode_all(items + others, size), [len(items)])
    return Dataset(name, train_images, labels, test_images, other_labels, classes)


def _inside(folder: Path) -> list[Path]:
    """What is in a folder, sorted, without what systems put there."""
    try:
        found = sorted(folder.iterdir())
    except OSError as error:
        raise BadData(f"{folder} cannot be read: {error.strerror}") from None
    return [path for path in found if path.name[0] != "." and path.name != _NO_CLASS]


def _read_classes(folder: Path) -> tuple[list[tuple[bytes, str]], np.ndarray, tuple[str, ...]]:
    """Encoded images with the place of each, labels, names of the classes."""
    classes = [child for child in _inside(folder) if child.is_dir()]
    if len(classes) < 2:
        raise BadData(
            f"{folder} holds no Parquet files and no class folders (<class>/<image>.png); "
            f"it has {len(classes)} folders"
        )
    files, labels = [], []
    for label, path in enumerate(classes):
        found = [file for file in _inside(path) if file.suffix.lower() in _SUFFIXES]
        if not found:
            raise BadData(f"{path} holds no images ({', '.join(_SUFFIXES)})")
        files += found
        labels += [label] * len(found)
    encoded = [(_bytes_of(file), str(file)) for file in files]
    return encoded, np.array(labels, np.int32), tuple(path.name for path in classes)


def _bytes_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise BadData(f"{file} cannot be read: {error.strerror}") from None


def _decode_all(items: list[tuple[bytes, str]], size: int | None) -> np.ndarray:
    """All images (N, H, W, C) of one shape; one in colour makes all colour."""

    def one(item: tuple[bytes, str]) -> np.ndarray:
        return decode(*item, size)

    if sum(len(encoded) for encoded, _ in items) < _SMALL * len(items):
        images = [one(item) for item in items]
    else:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            images = list(pool.map(one, items))
    if any(image.shape[-1] == 3 for image in images):
        images = [np.repeat(i, 3, axis=-1) if i.shape[-1] == 1 else i for i in images]
    for image, (_, where) in zip(images, items, strict=True):
        if image.shape != images[0].shape:
            raise BadData(
                f"{where}: an image of {_size(image)} among images of {_size(images[0])}; say "
                "image_size=… to bring all to one size"
            )
    return np.stack(images)


def _size(image: np.ndarray) -> str:
    return f"{image.shape[0]} × {image.shape[1]}"


def decode(encoded: bytes, where: str, size: int | None = None) -> np.ndarray:
    """One image (H, W, C) uint8, C 1 for grey ones and 3 for all others.

    Args:
      encoded: the bytes of a file.
      where: for the message.
      size: side to resize to; the larger middle square is taken.

    Raises:
      BadData: this is no image.

    """
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(encoded)) as image:
            wanted = _plain(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadData(f"{where}: this is no readable image ({type(error).__name__})") from None
    if wanted is None:
        raise BadData(f"{where}: its values have 32 bits; images of 8 or 16 bits can be read")
    if size is not None and wanted.size != (size, size):
        wanted = ImageOps.fit(wanted, (size, size), Image.Resampling.BICUBIC)
    array = np.asarray(wanted)
    return array[..., None] if array.ndim == 2 else array


def _plain(image: Any) -> Any:
    """Upright, on white where it is transparent, grey or RGB with 8 bits; None with 32 bits."""
    from PIL import Image, ImageOps

    if image.mode == "F" or (image.mode == "I" and image.format != "PNG"):
        return None
    if image.mode[0] == "I":  # PNG has no more than 16 bits
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    grey = image.mode in ("1", "L", "LA")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    wanted = image.convert("L" if grey else "RGB")
    ImageOps.exif_transpose(wanted, in_place=True)
    return wanted

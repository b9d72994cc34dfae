"""Images from a folder: Parquet files in Hugging Face's layout, or a folder for each class.

Parquet: files whose names begin with ``train`` and with ``test`` (or ``validation``), somewhere
below the folder, with a column of encoded images and a column of labels.  Class folders:
``train/<class>/…`` and ``test/<class>/…`` (or ``val``), or only ``<class>/…``, of which a fifth
is held out.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from solutions.training.data import BadData, Dataset, split

_TRAIN, _TEST = ("train",), ("test", "validation", "val", "valid")
_LABELS = ("label", "fine_label", "labels", "class")
_IMAGES = ("image", "img")
_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")


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
    parts, classes = {}, ()
    for part, words in (("train", _TRAIN), ("test", _TEST)):
        chosen = [file for file in files if file.name.startswith(words)]
        if not chosen:
            raise BadData(f"{folder}: no Parquet file whose name begins with {' or '.join(words)}")
        tables = [_read(file) for file in chosen]
        classes = tables[0][2] or classes
        encoded = [(image, where) for images, _, _ in tables for image, where in images]
        labels = np.concatenate([labels for _, labels, _ in tables])
        parts[part] = (_decode_all(encoded, size), labels)
    (train, train_labels), (test, test_labels) = parts["train"], parts["test"]
    count = max(int(train_labels.max()), int(test_labels.max())) + 1
    classes = classes or tuple(map(str, range(count)))
    return Dataset(name, train, train_labels, test, test_labels, classes)


def _read(file: Path) -> tuple[list[tuple[bytes, str]], np.ndarray, tuple[str, ...]]:
    """Encoded images with the place of each, labels, and names of the classes, of one file."""
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError:
        raise BadData(
            f"{file} is a Parquet file; to read it: pip install -c constraints.txt -e '.[train]'"
        ) from None
    try:
        table = parquet.read_table(file)
    except (arrow.ArrowInvalid, OSError) as error:
        reason = str(error).strip().splitlines()[0][:150]
        raise BadData(f"{file} cannot be read as Parquet: {reason}") from None
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
    for row, label in enumerate(labels):
        if type(label) is not int or label < 0:
            raise BadData(f"{file}, row {row}: {label!r} is no label; labels count from 0")
    return images, np.array(labels, np.int32), _class_names(table.schema, label_column)


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
    children = {child.name: child for child in sorted(folder.iterdir()) if child.is_dir()}
    train = next((children[word] for word in _TRAIN if word in children), None)
    test = next((children[word] for word in _TEST if word in children), None)
    if train is None or test is None:
        images, labels, classes = _read_classes(folder, size)
        return split(name, images, labels, classes)
    images, labels, classes = _read_classes(train, size)
    others, other_labels, other_classes = _read_classes(test, size)
    if classes != other_classes:
        odd = sorted(set(classes) ^ set(other_classes))
        raise BadData(f"{train} and {test} have different classes: {', '.join(odd[:5])}")
    return Dataset(name, images, labels, others, other_labels, classes)


def _read_classes(folder: Path, size: int | None) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    classes = tuple(sorted(child.name for child in folder.iterdir() if child.is_dir()))
    if len(classes) < 2:
        raise BadData(
            f"{folder} holds no Parquet files and no class folders (<class>/<image>.png); "
            f"it has {len(classes)} folders"
        )
    files, labels = [], []
    for label, name in enumerate(classes):
        found = sorted(
            file for file in (folder / name).iterdir() if file.suffix.lower() in _SUFFIXES
        )
        if not found:
            raise BadData(f"{folder / name} holds no images ({', '.join(_SUFFIXES)})")
        files += found
        labels += [label] * len(found)
    encoded = ((file.read_bytes(), str(file)) for file in files)
    return _decode_all(encoded, size), np.array(labels, np.int32), classes


def _decode_all(encoded: Iterable[tuple[bytes, str]], size: int | None) -> np.ndarray:
    """All images (N, H, W, C) of one shape; a colour image among grey ones makes all colour."""
    items = list(encoded)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        images = list(pool.map(lambda item: decode(*item, size), items))
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
            wanted = image.convert("L" if image.mode in ("1", "L", "I;16", "I") else "RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadData(f"{where}: this is no readable image ({type(error).__name__})") from None
    if size is not None and wanted.size != (size, size):
        wanted = ImageOps.fit(wanted, (size, size), Image.Resampling.BICUBIC)
    array = np.asarray(wanted)
    return array[..., None] if array.ndim == 2 else array

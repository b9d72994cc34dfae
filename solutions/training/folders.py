"""Images from a folder: Parquet files in Hugging Face's layout, or a folder for each class.

Parquet: files whose names begin with ``train`` and with ``test`` (else ``validation`` or ``val``),
somewhere below the folder, with a column of encoded images and a column of labels; where a file's
name tells no part, that of its folder does (``default/train/0000.parquet``).  A test part without
labels (-1 in all rows) is passed over.  Class folders: ``train/<class>/…`` and
``test/<class>/…`` (else ``validation``, ``val``), or only ``<class>/…``, of which a fifth is held
out; images may lie in folders inside these.  A folder called so that holds no class folders is
passed over.  So are hidden files, what is no file (pipes), files that are no images by their
endings, and links to a folder that has been entered.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from solutions.training.data import BadData, Dataset, Labelled, split
from solutions.training.decoding import decode
from solutions.training.memory import machine_memory
from solutions.training.tables import TEST, TRAIN, Table, check_known, classes_of, part_of

_SMALL = 10_000
"""Bytes of an image up to which most of the time is Python's own, so that threads only wait."""
_SUFFIXES = (".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
_NO_CLASS = "__MACOSX"


def load(folder: Path, name: str, image_size: int | None = None) -> Dataset:
    """What lies in a folder.

    Raises:
      BadData: nothing usable, or something damaged; the message names the file and the row.

    """
    parquet = _parquet(folder)
    if parquet:
        return _from_parquet(parquet, folder, name, image_size)
    return _from_class_folders(folder, name, image_size)


def load_test(folder: Path, image_size: int | None = None) -> tuple[Labelled, bool]:
    """The images of a folder to test on, and whether they are but a part of it.

    That is the test part where there is one, else all; of Parquet files only a part that is
    called so.

    Raises:
      BadData: as for `load`.

    """
    parquet = _parquet(folder)
    if parquet:
        tables = part_of(parquet, folder, TEST)
        items, labels, classes = _joined(tables), _labels(tables), classes_of(tables)
        is_part = True
    else:
        train, test = _class_folder_parts(folder)
        if train is not None and test is None:
            raise _lonely(train, TEST)
        items, labels, classes = _read_classes(test or folder)
        is_part = test is not None
    return Labelled(_decode_all(items, image_size), labels, classes), is_part


def _parquet(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.rglob("*.parquet")
        if not any(_is_passed_over(name) for name in file.relative_to(folder).parts)
        and _is_file(file)
    )


def _is_passed_over(name: str) -> bool:
    """Whether a name is hidden, or of what systems put into folders."""
    return name[0] == "." or name == _NO_CLASS


def _from_parquet(files: list[Path], folder: Path, name: str, size: int | None) -> Dataset:
    train, test = (part_of(files, folder, words) for words in (TRAIN, TEST))
    classes = classes_of([*train, *test])
    check_known(train, test)
    encoded = [_joined(part) for part in (train, test)]
    images = _decode_all(encoded[0] + encoded[1], size)
    train_images, test_images = np.split(images, [len(encoded[0])])
    return Dataset(name, train_images, _labels(train), test_images, _labels(test), classes)


def _joined(tables: list[Table]) -> list[tuple[bytes, str]]:
    return [item for table in tables for item in table.images]


def _labels(tables: list[Table]) -> np.ndarray:
    return np.concatenate([table.labels for table in tables])


def _from_class_folders(folder: Path, name: str, size: int | None) -> Dataset:
    train, test = _class_folder_parts(folder)
    if train is None or test is None:
        if train is not None:
            raise _lonely(train, TEST)
        if test is not None:
            raise _lonely(test, TRAIN)
        items, labels, classes = _read_classes(folder)
        return split(name, _decode_all(items, size), labels, classes)
    items, labels, classes = _read_classes(train)
    others, other_labels, other_classes = _read_classes(test)
    if classes != other_classes:
        odd = sorted(set(classes) ^ set(other_classes))
        raise BadData(f"{train} and {test} have different classes: {', '.join(odd[:5])}")
    train_images, test_images = np.split(_decode_all(items + others, size), [len(items)])
    return Dataset(name, train_images, labels, test_images, other_labels, classes)


def _class_folder_parts(folder: Path) -> tuple[Path | None, Path | None]:
    """The folder to train on and the one to test on; one without class folders is passed over."""
    children = {child.name.lower(): child for child in _subfolders(folder)}

    def first(words: Sequence[str]) -> Path | None:
        found = (children[word] for word in words if word in children)
        return next((child for child in found if _subfolders(child)), None)

    return first(TRAIN), first(TEST)


def _lonely(part: Path, missing: Sequence[str]) -> BadData:
    others = " or ".join(missing)
    return BadData(
        f"{part.parent} has a folder {part.name}, but none called {others} with class folders"
    )


def _subfolders(folder: Path) -> list[Path]:
    return [child for child in _inside(folder) if child.is_dir()]


def _inside(folder: Path) -> list[Path]:
    """What is in a folder, sorted, without what systems put there."""
    try:
        found = sorted(folder.iterdir())
    except OSError as error:
        raise BadData(f"{folder} cannot be read: {error.strerror}") from None
    return [path for path in found if not _is_passed_over(path.name)]


def _below(folder: Path) -> Iterator[Path]:
    """The files in a folder and in those inside it, as ``torchvision``'s ``ImageFolder`` has it.

    No folder is entered twice, nor one that all this lies in: links may lead back.
    """
    real = folder.resolve()
    return _inside_once(folder, {real, *real.parents})


def _inside_once(folder: Path, entered: set[Path]) -> Iterator[Path]:
    for path in _inside(folder):
        if path.is_dir():
            real = path.resolve()
            if real not in entered:
                entered.add(real)
                yield from _inside_once(path, entered)
        elif _is_file(path):
            yield path


def _is_file(path: Path) -> bool:
    """Whether it is a file, or a link to none, which is told when it is read."""
    return path.is_file() or not path.exists()


def _read_classes(folder: Path) -> tuple[list[tuple[bytes, str]], np.ndarray, tuple[str, ...]]:
    """Encoded images with the place of each, labels, names of the classes."""
    classes = _subfolders(folder)
    if len(classes) == 1:
        raise BadData(
            f"{folder} has a single class folder, {classes[0].name}; there have to be two or more"
        )
    if not classes:
        raise BadData(f"{folder} holds no Parquet files and no class folders (<class>/<image>.png)")
    files, labels = [], []
    for label, path in enumerate(classes):
        found = [file for file in _below(path) if file.suffix.lower() in _SUFFIXES]
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
    needed = len(items) * 3 * (size or 0) ** 2
    if needed > machine_memory():
        raise BadData(
            f"{len(items)} images of {size} × {size} take {needed / 1e9:.0f} GB, and this machine "
            f"has {machine_memory() / 1e9:.0f}; choose a smaller image_size"
        )

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
                f"{where}: an image of {_size(image)} among images of {_size(images[0])}; to bring "
                f"all to one size: --set image_size={min(images[0].shape[:2])}"
            )
    return np.stack(images)


def _size(image: np.ndarray) -> str:
    return f"height {image.shape[0]} and width {image.shape[1]}"

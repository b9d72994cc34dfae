"""Parquet files in Hugging Face's layout: encoded images, labels, names of the classes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from solutions.training.data import BadData
from solutions.training.one_line import one_line

TRAIN, TEST = ("train",), ("test", "validation", "val", "valid")
"""What the parts are called; of several names the first that is there counts."""
_LABELS = ("label", "fine_label", "labels", "class")
_IMAGES = ("image", "img")
_LARGEST_LABEL = 99_999
"""What is larger is a time or somebody's number; there would be a class for each below it."""
_NO_LABEL = -1


def part_of(files: list[Path], folder: Path, words: Sequence[str]) -> list[Table]:
    """The files of the first of ``words`` that any with labels are called by.

    Raises:
      BadData: there are none, one is missing, or something is damaged.

    """
    for word in words:
        called = [file for file in files if _word_of(file, folder) == word]
        _check_complete(called)
        tables = [_read(file) for file in called]
        without = [table for table in tables if table.unlabelled]
        if len(without) == len(tables):
            continue
        if without:
            raise _no_label(without[0].file, 0, _NO_LABEL)
        return tables
    raise BadData(
        f"{folder}: no Parquet file with labels whose name begins with {' or '.join(words)}, "
        "nor one in a folder called so"
    )


def _word_of(file: Path, folder: Path) -> str | None:
    """The word for a part that its name begins with, else that a folder around it is called by."""
    words = (*TRAIN, *TEST)
    *around, name = (part.lower() for part in file.relative_to(folder).parts)
    for word in words:
        if name.startswith(word):
            return word
    called = (part.removesuffix(".parquet") for part in reversed(around))
    return next((part for part in called if part in words), None)


def _check_complete(files: list[Path]) -> None:
    """Whether of files that say how many they are (``train-00000-of-00003``) all are there."""
    found: dict[tuple[Path, str, str], dict[int, Path]] = {}
    for file in files:
        if told := re.match(r"(.*?)(\d+)-of-(\d+)", file.name):
            begin, number, total = told.groups()
            found.setdefault((file.parent, begin, total), {})[int(number)] = file
    for (folder, begin, total), numbered in found.items():
        first = int(int(total) in numbered)  # counted from 0, or from 1
        for number in range(first, first + int(total)):
            if number not in numbered:
                one = next(iter(numbered.values()))
                width = len(one.name.removeprefix(begin).partition("-of-")[0])
                missing = folder / f"{begin}{number:0{width}}-of-{total}"
                raise BadData(
                    f"{missing} is missing; {one.name} is one of {int(total)}, so put the others "
                    "beside it"
                )


@dataclass(frozen=True)
class Table:
    """One Parquet file: encoded images with the place of each, labels, names of the classes."""

    file: Path
    images: list[tuple[bytes, str]]
    labels: np.ndarray
    classes: tuple[str, ...]

    @property
    def unlabelled(self) -> bool:
        """Whether every label is -1, as in test parts whose labels are kept back."""
        return bool((self.labels == _NO_LABEL).all())


def classes_of(tables: list[Table]) -> tuple[str, ...]:
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


def check_known(train: list[Table], test: list[Table]) -> None:
    """Whether every label to test on is one to train on.

    Raises:
      BadData: one is not.

    """
    known = np.concatenate([table.labels for table in train])
    for table in test:
        new = np.flatnonzero(~np.isin(table.labels, known))
        if len(new):
            raise BadData(
                f"{table.file}, row {new[0]}: label {table.labels[new[0]]}, which no image to "
                "train on has; one of the two parts is of other images"
            )


def _listed(classes: Sequence[str]) -> str:
    return ", ".join(classes[:5]) + (", …" if len(classes) > 5 else "")


def _read(file: Path) -> Table:
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
            raise _no_label(file, row, label)
        if label > _LARGEST_LABEL:
            raise BadData(
                f"{file}, row {row}: {label} is too large for a label; at most {_LARGEST_LABEL}"
            )
    names = _class_names(table.schema, label_column)
    return Table(file, images, np.array(labels, np.int32), names)


def _no_label(file: Path, row: int, label: object) -> BadData:
    return BadData(f"{file}, row {row}: {label!r} is no label; labels count from 0")


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

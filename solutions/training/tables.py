"""Parquet files in Hugging Face's layout: encoded images, labels, names of the classes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from solutions.training.data import BadData
from solutions.training.one_line import one_line

_LABELS = ("label", "fine_label", "labels", "class")
_IMAGES = ("image", "img")
_LARGEST_LABEL = 99_999
"""What is larger is a time or somebody's number; there would be a class for each below it."""
_NO_LABEL = -1


def part_of(files: list[Path], folder: Path, words: Sequence[str]) -> list[Table]:
    """The files that begin with the first of ``words`` that any with labels begins with."""
    for word in words:
        tables = [_read(file) for file in files if file.name.startswith(word)]
        if tables and not all(table.unlabelled for table in tables):
            return tables
    raise BadData(
        f"{folder}: no Parquet file with labels whose name begins with {' or '.join(words)}"
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
            raise BadData(f"{file}, row {row}: {label!r} is no label; labels count from 0")
        if label > _LARGEST_LABEL:
            raise BadData(
                f"{file}, row {row}: {label} is too large for a label; at most {_LARGEST_LABEL}"
            )
    names = _class_names(table.schema, label_column)
    return Table(file, images, np.array(labels, np.int32), names)


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

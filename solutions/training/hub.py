"""Datasets of Hugging Face: a pinned revision, cached by ``huggingface_hub``, checked by its hash.

The hub keeps large files under the SHA-256 of what is in them, and the cache names them so.
`download` computes the hash again, so that a file which was cut short or damaged on the disk is
found before it is decoded.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from solutions.training.data import BadData
from solutions.training.one_line import one_line


@dataclass(frozen=True)
class _Source:
    """Where a dataset lies: repository, revision, and the files of it that are needed."""

    repository: str
    revision: str
    files: tuple[str, ...]


def _two_files(folder: str) -> tuple[str, ...]:
    return tuple(f"{folder}/{part}-00000-of-00001.parquet" for part in ("train", "test"))


_SOURCES = {
    "cifar10": _Source(
        "uoft-cs/cifar10", "0b2714987fa478483af9968de7c934580d0bb9a2", _two_files("plain_text")
    ),
    "cifar100": _Source(
        "uoft-cs/cifar100", "aadb3af77e9048adbea6b47c21a81e47dd092ae5", _two_files("cifar100")
    ),
    "fashion_mnist": _Source(
        "zalando-datasets/fashion_mnist",
        "531be5e2ccc9dba0c201ad3ae567a4f3d16ecdd2",
        _two_files("fashion_mnist"),
    ),
    "mnist": _Source(
        "ylecun/mnist", "77f3279092a1c1579b2250db8eafed0ad422088c", _two_files("mnist")
    ),
}
NAMES = tuple(_SOURCES)


def download(name: str) -> Path:
    """The folder with the Parquet files of a dataset, from the cache where they are there.

    Raises:
      BadData: they cannot be fetched, or a file is not what its hash says.

    """
    try:
        import huggingface_hub
    except ImportError:
        raise BadData(
            f"{name} comes from Hugging Face; to fetch it: pip install -c constraints.txt "
            "-e '.[train]'"
        ) from None
    source, files = _SOURCES[name], []
    for file in source.files:
        try:
            with _errors_logged_only():
                found = huggingface_hub.hf_hub_download(
                    source.repository, file, repo_type="dataset", revision=source.revision
                )
        except Exception as error:
            raise BadData(
                f"{name}: {file} of {source.repository} cannot be fetched ({one_line(error)}). "
                "With a copy on this machine: --data FOLDER"
            ) from None
        files.append(Path(found))
        _check(files[-1])
    return files[0].parent


@contextmanager
def _errors_logged_only() -> Iterator[None]:
    """Without network ``huggingface_hub`` logs two lines for each of six tries."""
    from huggingface_hub.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _check(file: Path) -> None:
    """Compare a file with the hash that the cache knows it by.

    Raises:
      BadData: they differ, or there is no such hash.

    """
    blob = file.resolve()
    wanted = blob.name
    if not re.fullmatch(r"[0-9a-f]{64}", wanted):
        raise BadData(f"{file} is not in a cache of huggingface_hub; pass its folder by --data")
    with blob.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if found != wanted:
        raise BadData(f"{file} is damaged (its SHA-256 is not {wanted[:12]}…); delete {blob}")

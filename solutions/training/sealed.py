"""Whether a folder's files are as they were written: a sum over all of them, kept beside them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from solutions.training.disk import write_whole

_SEAL = "sha256"


def seal(folder: Path) -> None:
    """Keep the sum, where there is none yet.

    Raises:
      CannotSave: it cannot be written.

    """
    if not is_sealed(folder):
        write_whole(folder / _SEAL, _sum(folder))


def is_sealed(folder: Path) -> bool:
    """Whether the sum was kept: not where the process died before."""
    return (folder / _SEAL).exists()


def is_broken(folder: Path) -> bool:
    """Whether something has changed since; False where nobody came to keep the sum.

    Raises:
      OSError: something there cannot be read now, which proves nothing.

    """
    kept = folder / _SEAL
    return kept.exists() and kept.read_text(encoding="utf-8", errors="replace") != _sum(folder)


def _sum(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(_inside(folder)):
        if path.is_file() and path.name != _SEAL:
            total.update(str(path.relative_to(folder)).encode())
            with path.open("rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def _inside(folder: Path) -> list[Path]:
    """All files in it; ``Path.rglob`` would pass over a folder that may not be read."""

    def fail(error: OSError) -> None:
        raise error

    found = os.walk(folder, onerror=fail)
    return [Path(where, name) for where, _, names in found for name in names]

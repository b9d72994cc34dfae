"""Begin a problem anew without losing what was written."""

from __future__ import annotations

import os
from pathlib import Path


class Meanwhile(OSError):
    """Somebody saved the file while it was being put aside; nothing is lost."""


def put_back(path: Path, stub: str) -> Path | None:
    """Put the stub at ``path``; the file that lay there is kept beside it under a numbered name.

    Args:
      path: the answer.
      stub: the text to begin with.

    Returns:
      Where the old file is now; None when there was none, or only the stub.

    Raises:
      Meanwhile: the file was saved at the very same time: the saved text stands, and the one
        before it is kept.
      OSError: the folder cannot be written, or the disk is full; all is as it was.

    """
    try:
        if path.read_bytes() == stub.encode():
            return None
    except FileNotFoundError:
        pass
    kept = _put_aside(path)
    try:
        with open(path, "x", encoding="utf-8") as stream:
            stream.write(stub)
    except FileExistsError:
        told = f"{path.name} was saved meanwhile and stays as it is"
        raise Meanwhile(told + (f"; the text before is in {kept.name}" if kept else "")) from None
    except OSError:  # a full disk, say: as it was
        if kept is None:
            path.unlink(missing_ok=True)
        else:
            kept.replace(path)
        raise
    return kept


def _put_aside(path: Path) -> Path | None:
    """Move a file to the first free numbered name, which it reserves against others."""
    number = 0
    while True:
        number += 1
        kept = path.with_name(f"{path.stem}.old-{number}{path.suffix}")
        try:
            os.close(os.open(kept, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
        except FileExistsError:
            continue
        try:
            path.replace(kept)
        except FileNotFoundError:
            kept.unlink()
            return None
        except OSError:
            kept.unlink()
            raise
        return kept

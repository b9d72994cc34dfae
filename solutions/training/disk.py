"""Writing to a disk that may be full: what goes wrong is one line that says where."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from solutions.training.one_line import one_line


class CannotSave(OSError):
    """Something of a run cannot be written; the message says where and why."""


@contextmanager
def saving(where: Path) -> Iterator[None]:
    """Within this block an error of the system is told as one of writing to ``where``.

    Raises:
      CannotSave: in place of any other `OSError`.

    """
    try:
        yield
    except CannotSave:
        raise
    except OSError as error:
        raise CannotSave(f"{where}: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """Why something could not be written, in one line."""
    if getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error):
        return "the disk is full; what was saved before is still there. Make room and resume"
    return f"cannot be written: {getattr(error, 'strerror', None) or one_line(error)}"


def write_whole(path: Path, content: str | bytes) -> None:
    """All or nothing: a reader never sees half of it, and an older file stays until then.

    Raises:
      CannotSave: it cannot be written.

    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    encoded = content.encode() if isinstance(content, str) else content
    with saving(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_bytes(encoded)
            fresh.replace(path)
        except OSError:
            fresh.unlink(missing_ok=True)
            raise

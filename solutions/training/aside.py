"""Checkpoints that are proved damaged: out of the way, and none lost."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path


def aside_of(folder: Path) -> Path:
    """Where those of ``folder`` go."""
    return folder.with_name(f"{folder.name}-unreadable")


def put_aside(folder: Path, steps: Sequence[int]) -> None:
    """Move the checkpoints of these steps there, beside what lies there already.

    Args:
      folder: of the checkpoints.
      steps: which are damaged.

    """
    aside = aside_of(folder)
    aside.mkdir(exist_ok=True)
    for step in steps:
        names = (str(step) if count == 1 else f"{step}-{count}" for count in itertools.count(1))
        target = next(aside / name for name in names if not (aside / name).exists())
        (folder / str(step)).rename(target)

"""What cannot serve as a checkpoint, out of the way.

One that was being written when a process died is deleted; one that is proved damaged is kept.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Sequence
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


def clear_unfinished(folder: Path, tell: Callable[[str], None]) -> None:
    """Delete what was being written when a process died, and tell it."""
    found = sorted(folder.glob("*.orbax-checkpoint-tmp*"))
    if found:
        steps = ", ".join(path.name.partition(".")[0] for path in found)
        tell(f"skipped and deleted, as it was only half written: step {steps}")
    for path in found:
        shutil.rmtree(path)

"""Which checkpoint of a run serves: the newest that is not damaged, the same in all processes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import jax

from solutions.training import sealed
from solutions.training.devices import in_all_processes, in_first_process, of_first_process

_Read = TypeVar("_Read")


class NoCheckpoint(LookupError):
    """There is nothing to read, or it cannot be read now; the message says where, and why."""


def newest_of(
    folder: Path,
    steps: list[int],
    is_damaged: Callable[[int], bool],
    read: Callable[[int], _Read],
) -> tuple[_Read | None, list[int]]:
    """The newest of some checkpoints that is not damaged, as it is read, and the steps passed over.

    Args:
      folder: of the checkpoints.
      steps: of which there is one, as this process sees the folder; the first one first.
      is_damaged: asked in the first process alone.
      read: called in all processes.

    Raises:
      NoCheckpoint: one that is not proved damaged cannot be read.

    """
    step, damaged = _chosen(folder, steps, is_damaged)
    if step is None:
        return None, damaged
    try:
        return in_all_processes(lambda: read(step)), damaged
    except NoCheckpoint:
        if not _was_cut_off(folder, step, steps):
            raise
        earlier = [other for other in steps if other < step]
        found, more = newest_of(folder, earlier, is_damaged, read)
        return found, [*damaged, step, *more]


def _was_cut_off(folder: Path, step: int, steps: list[int]) -> bool:
    """Whether one that cannot be read may be half written, and there is one before it.

    The machine stopped: files that were renamed already had not reached the disk.
    """
    alone = jax.process_count() == 1 and not sealed.is_sealed(folder / str(step))
    return alone and step > min(steps)


def _chosen(
    folder: Path, steps: list[int], is_damaged: Callable[[int], bool]
) -> tuple[int | None, list[int]]:
    """The newest step that is not damaged, and the damaged ones after it.

    The first process looks for all: hosts that see a folder differently would go on from
    different steps.
    """

    def choose() -> tuple[int | None, list[int]]:
        damaged: list[int] = []
        for step in reversed(steps):
            if not is_damaged(step):
                return step, damaged
            damaged.append(step)
        return None, damaged

    step, damaged = json.loads(of_first_process(json.dumps(in_first_process(choose))))
    if step is not None:  # before Orbax waits for all to read
        in_all_processes(lambda: _check_seen(folder, step, steps))
    return step, damaged


def _check_seen(folder: Path, step: int, steps: list[int]) -> None:
    if step not in steps:
        raise NoCheckpoint(
            f"{folder} does not have the checkpoint of step {step} that the first process "
            "goes on from; all hosts need one shared folder for a run"
        )

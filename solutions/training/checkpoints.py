"""Checkpoints by Orbax: written while the training goes on, a few kept, half-written ones skipped.

Beside the arrays a checkpoint holds the history so far, so that ``metrics.jsonl`` can be put
right when a run is resumed from before its last line.
"""

from __future__ import annotations

import contextlib
import errno
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

Carry = dict[str, Any]


class CannotSave(OSError):
    """A checkpoint cannot be written; the message says where and why."""


class NoCheckpoint(LookupError):
    """There is nothing to read; the message says where."""


class AnotherRun(ValueError):
    """A folder holds the checkpoints of a different run."""


@dataclass(frozen=True)
class Saved:
    """What a checkpoint holds."""

    step: int
    carry: Carry
    history: tuple[dict[str, float], ...]
    seconds: float


class Checkpoints:
    """The checkpoints of one run, in a folder of their own.

    Args:
      folder: made when it is missing.
      keep: how many stay; older ones are deleted.
      tell: gets one line about every checkpoint that cannot be used.
      run: says which run this is; a folder is not resumed by another.

    """

    def __init__(
        self,
        folder: Path,
        keep: int = 2,
        tell: Callable[[str], None] = print,
        run: str = "",
    ) -> None:
        import orbax.checkpoint as ocp

        logging.getLogger("absl").setLevel(logging.ERROR)
        self.folder, self._tell, self._ocp, self._run = folder.absolute(), tell, ocp, run
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep, enable_async_checkpointing=True, create=True
        )
        with self._explained():
            self._manager = ocp.CheckpointManager(self.folder, options=options)

    def save(
        self, step: int, carry: Carry, history: tuple[dict[str, float], ...], seconds: float
    ) -> None:
        """Begin to write; returns when the arrays are copied.

        Raises:
          CannotSave: this one, or the one before, cannot be written.

        """
        if step in self._manager.all_steps():
            return
        told = {"history": list(history), "seconds": seconds, "run": self._run}
        args = self._ocp.args.Composite(
            carry=self._ocp.args.StandardSave(carry), told=self._ocp.args.JsonSave(told)
        )
        with self._explained():
            self._manager.save(step, args=args)

    def wait(self) -> None:
        """Until all is written.

        Raises:
          CannotSave: it cannot be.

        """
        with self._explained():
            self._manager.wait_until_finished()

    def newest(self, like: Carry) -> Saved | None:
        """The newest checkpoint that can be read; None when there is none.

        Args:
          like: a carry of the same shapes and shardings.

        Raises:
          AnotherRun: the folder belongs to another run.

        """
        args = self._ocp.args
        for step in sorted(self._manager.all_steps(), reverse=True):
            wanted = args.Composite(
                carry=args.StandardRestore(jax.tree.map(_abstract, like)), told=args.JsonRestore()
            )
            try:
                found = self._manager.restore(step, args=wanted)
                told = found["told"]
                if told["run"] != self._run:
                    raise AnotherRun(
                        f"{self.folder} holds checkpoints of another run (another recipe or "
                        "seed); choose another folder"
                    )
                return Saved(step, found["carry"], tuple(told["history"]), told["seconds"])
            except AnotherRun:
                raise
            except Exception as error:
                self._skipped(step, error)
        return None

    def newest_state(self) -> tuple[int, Any]:
        """Step and state of the newest checkpoint that can be read, on one device.

        Raises:
          NoCheckpoint: there is none.

        """
        for step in reversed(self.steps()):
            try:
                return step, self.state(step)
            except Exception as error:
                self._skipped(step, error)
        raise NoCheckpoint(f"{self.folder} holds no checkpoint that can be read")

    def steps(self) -> list[int]:
        """The steps of which there is a checkpoint, the first one first."""
        return sorted(self._manager.all_steps())

    def state(self, step: int) -> Any:
        """The state of one checkpoint, on one device; what goes wrong is Orbax's to say."""
        one = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        known = self._manager.item_metadata(step)["carry"]
        tree = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=one),
            getattr(known, "tree", known),
        )
        wanted = self._ocp.args.Composite(carry=self._ocp.args.StandardRestore(tree))
        return self._manager.restore(step, args=wanted)["carry"]["state"]

    def _skipped(self, step: int, error: Exception) -> None:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        self._tell(f"the checkpoint of step {step} is skipped: {reason[0][:200]}")

    def close(self) -> None:
        """Let go of its threads."""
        with contextlib.suppress(Exception):
            self._manager.close()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            raise CannotSave(f"{self.folder}: {_reason(error)}") from error


def _abstract(leaf: jax.Array) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)


def _reason(error: BaseException) -> str:
    told = str(error)
    full = getattr(error, "errno", None) == errno.ENOSPC or "No space left" in told
    if full:
        return "the disk is full; what was saved before is still there. Make room and resume"
    lines = told.strip().splitlines() or [type(error).__name__]
    return f"a checkpoint cannot be written: {lines[0][:200]}"

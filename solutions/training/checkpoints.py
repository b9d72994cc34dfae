"""Checkpoints by Orbax: written while the training goes on, and a few kept.

Orbax writes into a folder with another name and renames it in the end, so one that was being
written when the process died is never mistaken for a checkpoint; it is told and deleted.  A
checkpoint that was damaged later (a sum over its files tells, see `sealed`) is put aside, told,
and the one before it serves; likewise one that cannot be read and of which the process did not
come to keep the sum: the machine may have stopped before all was on the disk.  What cannot be
read for any other reason (the file system, no memory, another version that wants other arrays)
may well be read tomorrow: that is an error, and everything stays where it is.  While a run is
trained its folder is locked.

Beside the arrays a checkpoint holds the history so far, so that ``metrics.jsonl`` can be put
right when a run is resumed from before its last line.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import jax

from solutions.training import sealed
from solutions.training.aside import aside_of, clear_unfinished, put_aside
from solutions.training.choosing import NoCheckpoint, newest_of
from solutions.training.devices import BadDevices, in_all_processes, in_first_process
from solutions.training.disk import CannotSave, reason
from solutions.training.lock import AnotherRun, Lock
from solutions.training.one_line import one_line
from solutions.training.orbax_log import Deaf

Carry = dict[str, Any]
History = tuple[dict[str, Any], ...]
_Read = TypeVar("_Read")


@dataclass(frozen=True)
class Saved:
    """What a checkpoint holds.

    Attributes:
      step: after how many steps it was saved.
      carry: the state, the sums of this epoch, and the first step whose loss was no number.
      history: the epochs before it.
      seconds: that the run had taken.

    """

    step: int
    carry: Carry
    history: History
    seconds: float


class Checkpoints:
    """The checkpoints of one run, in a folder of their own.

    Args:
      folder: made when it is missing.
      keep: how many stay; older ones are deleted.
      tell: gets one line about every checkpoint that cannot be used.
      run: says which run this is; a folder is not resumed by another.
      read_only: nothing is made; for who only looks.

    Until `close`, what Orbax logs is dropped: an error that matters is raised here, in one line.

    """

    def __init__(
        self,
        folder: Path,
        keep: int = 2,
        tell: Callable[[str], None] = print,
        run: str = "",
        *,
        read_only: bool = False,
    ) -> None:
        self._deaf = Deaf()
        self._deaf.begin()
        import orbax.checkpoint as ocp

        self.folder, self._tell, self._ocp, self._run = folder.absolute(), tell, ocp, run
        self._failed = False
        self._lock = Lock(self.folder.parent)
        options = ocp.CheckpointManagerOptions(
            preservation_policy=ocp.checkpoint_managers.LatestN(keep),
            enable_async_checkpointing=True,
            create=not read_only,
            read_only=read_only,
        )
        with contextlib.ExitStack() as heard_again, self._explained():
            heard_again.callback(self._deaf.end)
            if not read_only:  # Orbax would have the other processes wait for one that cannot
                in_first_process(lambda: self.folder.mkdir(parents=True, exist_ok=True))
            self._manager = ocp.CheckpointManager(
                self.folder, options=options, handler_registry=_handlers(ocp)
            )
            heard_again.pop_all()  # all went well: by `close`

    def save(self, step: int, carry: Carry, history: History, seconds: float) -> None:
        """Begin to write; returns when the arrays are copied.

        Raises:
          CannotSave: this one, or the one before, cannot be written.

        """
        self.wait()
        if step in self.steps():
            return
        told = {"history": list(history), "seconds": seconds, "run": self._run}
        args = self._ocp.args.Composite(
            carry=self._ocp.args.StandardSave(carry), told=self._ocp.args.JsonSave(told)
        )
        with self._explained():
            begun = in_all_processes(lambda: self._manager.save(step, args=args))
        if not begun:
            raise CannotSave(
                f"{self.folder}: step {step} is not saved, as there is a checkpoint of step "
                f"{self.steps()[-1]}; choose another folder"
            )

    def wait(self) -> None:
        """Until all is written.

        Raises:
          CannotSave: it cannot be.

        """
        with self._explained():
            in_all_processes(self._manager.wait_until_finished)
            in_first_process(self._seal)

    def _seal(self) -> None:
        for step in self.steps():
            sealed.seal(self.folder / str(step))

    def newest(self, like: Carry) -> Saved | None:
        """The newest checkpoint that is not damaged, to go on from; None when there is none.

        From now on the folder is locked.  What is damaged is told and put aside: Orbax saves no
        step before its last one.

        Args:
          like: a carry of the same shapes and shardings, or these alone.

        Raises:
          AnotherRun: the folder belongs to another run, or another process is at it.
          CannotSave: the folder cannot be written to.
          NoCheckpoint: one that is not proved damaged cannot be read; it stays.

        """
        self._lock.take()
        with self._explained():
            in_first_process(lambda: clear_unfinished(self.folder, self._tell))
        saved, damaged = self._newest_of(lambda step: self._read(step, like))
        if damaged:
            self._put_aside(damaged)
        return saved

    def _newest_of(self, read: Callable[[int], _Read]) -> tuple[_Read | None, list[int]]:
        return newest_of(self.folder, self.steps(), self._is_damaged, read)

    def _read(self, step: int, like: Carry) -> Saved:
        """One checkpoint: whose it is first, as another run's arrays may have other shapes."""
        args = self._ocp.args
        wanted = args.Composite(told=args.JsonRestore())
        with self._readable(step):
            told = self._manager.restore(step, args=wanted)["told"]
        if told["run"] != self._run:
            raise AnotherRun(
                f"{self.folder} holds checkpoints of another run (another recipe, seed, "
                "answers or images than run.json now tells); choose another folder"
            )
        wanted = args.Composite(carry=args.StandardRestore(jax.tree.map(_abstract, like)))
        with self._readable(step):
            carry = self._manager.restore(step, args=wanted)["carry"]
        return Saved(step, carry, tuple(told["history"]), told["seconds"])

    def _put_aside(self, steps: list[int]) -> None:
        with self._explained():
            in_first_process(lambda: put_aside(self.folder, steps))
        for step in steps:
            self._tell(f"{_skipped(step)}; it is now in {aside_of(self.folder)}")
        self._manager.reload()

    def newest_state(self) -> tuple[int, Any]:
        """Step and state of the newest checkpoint that is not damaged, on one device.

        Raises:
          NoCheckpoint: there is none, or it cannot be read now.

        """
        found, damaged = self._newest_of(lambda step: (step, self._state(step)))
        for step in damaged:
            self._tell(_skipped(step))
        if found is not None:
            return found
        raise NoCheckpoint(f"{self.folder} holds no checkpoint that can be read")

    def steps(self) -> list[int]:
        """The steps of which there is a checkpoint, the first one first."""
        return sorted(self._manager.all_steps())

    def state(self, step: int) -> Any:
        """The state of one checkpoint, on one device.

        Raises:
          NoCheckpoint: it is damaged, or cannot be read now.

        """
        if self._is_damaged(step):
            raise NoCheckpoint(f"{self.folder}: {_skipped(step)}")
        return self._state(step)

    def _state(self, step: int) -> Any:
        with self._readable(step):
            return self._restored(step)

    def _restored(self, step: int) -> Any:
        one = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        known = self._manager.item_metadata(step)["carry"]
        tree = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=one),
            getattr(known, "tree", known),
        )
        wanted = self._ocp.args.Composite(carry=self._ocp.args.StandardRestore(tree))
        return self._manager.restore(step, args=wanted)["carry"]["state"]

    def _is_damaged(self, step: int) -> bool:
        with self._readable(step):
            return sealed.is_broken(self.folder / str(step))

    def close(self) -> None:
        """Let go of its threads."""
        with contextlib.suppress(Exception):
            self._manager.close()
        self._lock.release()
        if not self._failed:  # else there will be more to drop, some time later
            self._deaf.end()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._failed = True
            if isinstance(error, CannotSave | BadDevices):  # says itself where and why
                raise
            raise CannotSave(f"{self.folder}: {reason(error)}") from error

    @contextlib.contextmanager
    def _readable(self, step: int) -> Iterator[None]:
        """Within this block whatever goes wrong is no proof of damage."""
        try:
            yield
        except Exception as error:
            raise NoCheckpoint(
                f"{self.folder}: step {step} cannot be read now ({one_line(error)}); it stays "
                "there. It needs the code and the versions that wrote it; to go on without it, "
                f"move {self.folder / str(step)} away"
            ) from error


def _handlers(ocp: Any) -> Any:
    """Who reads and writes the arrays, and who the words beside them."""
    registry, args = ocp.handlers.DefaultCheckpointHandlerRegistry(), ocp.args
    for item, handler, save, restore in (
        ("carry", ocp.StandardCheckpointHandler(), args.StandardSave, args.StandardRestore),
        ("told", ocp.JsonCheckpointHandler(), args.JsonSave, args.JsonRestore),
    ):
        registry.add(item, save, handler)
        registry.add(item, restore, handler)
    return registry


def _skipped(step: int) -> str:
    return f"the checkpoint of step {step} is skipped: its files are no longer as they were written"


def _abstract(leaf: jax.Array) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)


__all__ = ["AnotherRun", "CannotSave", "Checkpoints", "NoCheckpoint", "Saved"]

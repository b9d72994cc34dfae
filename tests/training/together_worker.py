"""One of two processes of a tiny run in which something goes wrong; see `test_together`.

Arguments: port, its number, a folder for both, a folder of its own.  Says in one line each how the
runs ended.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from solutions.training import Recipe, train
from solutions.training.checkpoints import Checkpoints
from solutions.training.data import Dataset
from solutions.training.devices import join_processes, placement
from solutions.training.disk import CannotSave
from solutions.training.loop import Plan, Silent, fit
from tests.training.conftest import CLASSES, TINY, shades
from tests.training.test_loop import counting


class FullDisk(Silent):
    """The first process cannot write: nothing at all, or not the second epoch."""

    def __init__(self, when: str) -> None:
        self._when = when

    def on_start(self, step: int, total_steps: int, history: Sequence[Any]) -> None:
        self._fail("start")

    def on_epoch(self, line: dict[str, Any]) -> None:
        self._fail(f"epoch {line['epoch']:.0f}")

    def _fail(self, now: str) -> None:
        if now == self._when and jax.process_index() == 0:
            raise CannotSave(f"the disk is full at {now}")


def tried(recipe: Recipe, data: Dataset | None = None, **more: Any) -> None:
    try:
        train(recipe, data=data, **more)
        print("trained", flush=True)
    except Exception as error:
        print(type(error).__name__, error, flush=True)


def main(port: str, number: str, shared: str, own: str) -> None:
    join_processes(f"127.0.0.1:{port}", 2, int(number))
    data = Dataset("shades", *shades(40), *shades(11, 1), CLASSES)
    for changes in ({"base_lr": 0.1}, {"epochs": 3, "shift": 1}):
        tried(dataclasses.replace(TINY, **(changes if number == "1" else {})), data)
    tried(TINY, data, seed=int(number))
    tried(TINY, data, fsdp=number == "1")
    turned = dataclasses.replace(data, test_labels=1 - data.test_labels)
    tried(TINY, turned if number == "1" else data)
    tried(dataclasses.replace(TINY, data="digits" if number == "0" else "nowhere"))
    runs = [
        (FullDisk("start"), None),
        (FullDisk("epoch 2"), None),
        (Silent(), Path(own) / "file" / "checkpoints"),
        (Silent(), Path(own) / "checkpoints"),
        (Silent(), Path(shared) / "checkpoints"),
    ]
    if number == "0":
        Path(own, "file").touch()
    for watch, folder in runs:
        checkpoints = None
        try:
            checkpoints = folder and Checkpoints(folder, tell=lambda _: None)
            fitted = fit(counting(), data, Plan(3, 8), placement(8), checkpoints, watch)
            print("finished at", fitted.step, "epochs", len(fitted.history), flush=True)
        except Exception as error:
            print(type(error).__name__, error, flush=True)
        if checkpoints:
            checkpoints.close()


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Who looks on: signals, TensorBoard events, plain lines."""

from __future__ import annotations

import builtins
import io
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from solutions.training import runs
from solutions.training.data import Dataset
from solutions.training.events import tensorboard
from solutions.training.watching import Stop, Watching
from tests.training.conftest import TINY

LINE = {
    "step": 5,
    "epoch": 1,
    "train_loss": 0.5,
    "test_loss": None,
    "test_accuracy": None,
    "images_per_second": 10.0,
    "learning_rate": 1e-3,
    "seconds": 2.0,
}


def test_a_signal_is_remembered_at_once_and_told_later() -> None:
    lines: list[str] = []
    stop = Stop(lines.append)
    with stop.listening():
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.number == signal.SIGINT
        assert lines == []
        assert stop.asked()
        assert stop.asked()
        assert lines == ["stopping and saving; once more stops at once"]
        time.sleep(0.3)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_signal_that_comes_twice_at_once_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrapper sends it to the process and to its group."""
    now = iter((10.0, 10.1, 10.15, 10.25))
    monkeypatch.setattr("solutions.training.watching.time", SimpleNamespace(monotonic=now.__next__))
    stop = Stop(print)
    for _ in range(3):
        stop(signal.SIGTERM, None)
    assert stop.number == signal.SIGTERM
    with pytest.raises(KeyboardInterrupt):
        stop(signal.SIGTERM, None)


def test_an_epoch_without_a_test_is_written_and_told(tiny_data: Dataset, tmp_path: Path) -> None:
    screen = io.StringIO()
    run = runs.new(tmp_path, TINY, 0, tiny_data, "train")
    watching = Watching(run, Console(file=screen, width=200), Stop(print))
    watching.on_start(0, 10, ())
    watching.on_epoch(LINE)
    assert '"test_accuracy": null' in run.metrics.read_text()
    assert screen.getvalue() == "epoch 1  train_loss 0.5  images_per_second 10  2 s\n"


def test_tensorboard_events(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    from tensorboardX.proto.event_pb2 import Event, SessionLog

    write = tensorboard(tmp_path)
    write(LINE)
    write({**LINE, "step": 10, "test_loss": 0.25})
    found, begun = [], []
    for file in tmp_path.iterdir():
        content = file.read_bytes()
        while content:  # length (8 bytes), its checksum (4), the event, its checksum (4)
            length = int.from_bytes(content[:8], "little")
            event = Event.FromString(content[12 : 12 + length])
            found += [(event.step, v.tag, v.simple_value) for v in event.summary.value]
            if event.session_log.status == SessionLog.START:
                begun.append(event.step)
            content = content[16 + length :]
    assert (5, "train_loss", 0.5) in found
    assert (10, "test_loss", 0.25) in found
    assert not any(step == 5 and tag.startswith("test_") for step, tag, _ in found)
    assert begun == [5]  # what an earlier session wrote from there on is forgotten


def test_tensorboard_without_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import_module = builtins.__import__

    def missing(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("tensorboardX"):
            raise ImportError(name)
        return import_module(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ImportError, match="tensorboardX"):
        tensorboard(tmp_path)

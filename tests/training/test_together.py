"""Of several processes none waits for one that has failed, and all go on from one step."""

from __future__ import annotations

from pathlib import Path

import pytest

from solutions.training.checkpoints import Checkpoints
from solutions.training.data import Dataset
from solutions.training.devices import placement
from solutions.training.loop import Plan, fit
from tests.training.conftest import started
from tests.training.test_loop import counting
from tests.training.test_scale import free_port


def trained(folder: Path, data: Dataset, epochs: int) -> None:
    checkpoints = Checkpoints(folder, tell=print)
    fit(counting(), data, Plan(epochs, 8), placement(8), checkpoints)
    checkpoints.close()


@pytest.mark.slow
def test_two_processes_fail_together(tiny_data: Dataset, tmp_path: Path) -> None:
    shared, own = tmp_path / "shared", [tmp_path / "one", tmp_path / "two"]
    trained(own[0] / "checkpoints", tiny_data, 1)
    (own[1] / "checkpoints").mkdir(parents=True)
    trained(shared / "checkpoints", tiny_data, 2)
    newest = shared / "checkpoints" / "10"
    largest = max(newest.rglob("*"), key=lambda path: path.is_file() and path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:20])

    port, worker = free_port(), "tests.training.together_worker"
    both = [
        started("-m", worker, port, str(number), str(shared), str(own[number])) for number in (0, 1)
    ]
    told = [process.communicate(timeout=150) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    first, second = (
        [line for line in lines.splitlines() if not line.startswith("[Gloo]")] for lines, _ in told
    )
    for other in ("base_lr", "epochs, shift", "seed", "fsdp", "images"):
        assert first.pop(0) == "BadDevices another process has failed; it says why"
        told = f"BadDevices {other}: not the same here as in the first process; start all with the"
        assert second.pop(0).startswith(told)
    assert first.pop(0) == "BadDevices another process has failed; it says why"
    assert second.pop(0).startswith("BadData there is no dataset 'nowhere'")
    assert first[:2] == [f"CannotSave the disk is full at {when}" for when in ("start", "epoch 2")]
    assert first[2].startswith("CannotSave ")
    assert first[2].endswith("cannot be written: Not a directory")
    assert second[:3] == ["BadDevices another process has failed; it says why"] * 3
    assert first[3] == second[0]
    assert "does not have the checkpoint of step 5 that the first process goes on" in second[3]
    assert first[4] == second[4] == "finished at 15 epochs 3"
    assert (shared / "checkpoints-unreadable" / "10").is_dir()

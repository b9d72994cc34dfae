"""Many devices and several processes give what one device gives."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from grader.catalogue import ROOT
from tests.training.conftest import TINY_WORDS, environment, lines_of, parameters, wait_for_epochs

pytestmark = pytest.mark.xdist_group("devices")  # they share a run

WORKER = [sys.executable, "-m", "tests.training.scale_worker"]


def start(
    target: Path, how: str, devices: int, *several: str, **more: str
) -> subprocess.Popen[str]:
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={devices}"
    return subprocess.Popen(
        [*WORKER, str(target), how, *several],
        cwd=ROOT,
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", **more},
        stderr=subprocess.PIPE,
        text=True,
    )


def free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def finish(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        _, told = process.communicate(timeout=400)
        assert process.returncode == 0, told[-2000:]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one device has saved, where somebody has turned float64 on."""
    target = tmp_path_factory.mktemp("single") / "params.npz"
    finish(start(target, "plain", 1, JAX_ENABLE_X64="1"))
    return target


@pytest.fixture(scope="module")
def single(alone: Path) -> dict[str, np.ndarray]:
    return dict(np.load(alone))


def test_a_run_needs_no_engine_and_leaves_float64_and_logging_as_they_are(alone: Path) -> None:
    assert json.loads(Path(f"{alone}.json").read_text()) == {
        "types": ["float32", "int32"],
        "float64 is on": True,
        "handlers are the same": True,
        "of the engine": [],
    }


def assert_close(
    target: Path, single: dict[str, np.ndarray], devices: int
) -> dict[str, np.ndarray]:
    found = dict(np.load(target))
    assert found["devices"] == devices
    for name, value in single.items():
        if name not in ("devices", "divided"):
            assert np.abs(found[name] - value).max() < 1e-5, name
    return found


def test_eight_devices_with_everything_divided(
    single: dict[str, np.ndarray], tmp_path: Path
) -> None:
    finish(start(tmp_path / "fsdp.npz", "fsdp", 8))
    assert assert_close(tmp_path / "fsdp.npz", single, 8)["divided"] > 10


@pytest.mark.slow
def test_eight_devices_data_parallel(single: dict[str, np.ndarray], tmp_path: Path) -> None:
    finish(start(tmp_path / "plain.npz", "plain", 8))
    assert assert_close(tmp_path / "plain.npz", single, 8)["divided"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("how", ["plain", "fsdp"])
def test_two_processes(how: str, single: dict[str, np.ndarray], tmp_path: Path) -> None:
    port = free_port()
    target = tmp_path / "two.npz"
    finish(*(start(target, how, 2, port, "2", str(number)) for number in range(2)))
    assert_close(target, single, 4)


def together(folder: Path, *words: str, second: Sequence[str] = ()) -> list[subprocess.Popen[str]]:
    """``train`` in two processes, in a folder of their own; the second gets more words."""
    port = free_port()
    return [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "grader", "train", *words),
                *("--coordinator", f"127.0.0.1:{port}"),
                *("--num-processes", "2", "--process-id", str(number)),
                *(second if number else ()),
            ],
            cwd=folder,
            env=environment(PYTHONPATH=str(ROOT)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]


@pytest.mark.slow
def test_two_processes_share_a_folder_stop_together_and_report(
    image_folder: Path, tmp_path: Path
) -> None:
    longer = ["--set", "epochs=12", "--set", "checkpoint_every=4", "--fsdp"]
    both = together(tmp_path, "--data", str(image_folder), *TINY_WORDS, *longer)
    end = time.monotonic() + 120
    while not list(tmp_path.glob("runs/*/metrics.jsonl")) and time.monotonic() < end:
        time.sleep(0.05)
    (run,) = tmp_path.glob("runs/*")
    wait_for_epochs(run, 2)
    both[1].send_signal(signal.SIGTERM)
    told = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [130, 143], told
    step = re.search(r"saved at step (\d+)\. Go on with", told[0][0])
    assert step is not None
    assert parameters(run)["step"] == int(step[1])

    both = together(tmp_path, "--resume", str(run))
    told = [process.communicate(timeout=200) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert "report: " in told[0][0]
    lines = lines_of(run)
    assert [line["epoch"] for line in lines] == list(range(1, 13))
    assert all(line["images_per_second"] > 0 for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("second", "told"),
    [
        (["--set", "base_lr=0.5"], "grader: base_lr: not the same here as in the first process"),
        (["--set", "batch_size=999"], "grader: batch_size is 999, but there are only 48 images"),
        (["--out", "other"], "grader: --out: not the same here as in the first process"),
    ],
)
def test_two_processes_that_were_started_differently_fail_at_once(
    second: list[str], told: str, shades_folder: Path, tmp_path: Path
) -> None:
    both = together(tmp_path, "--data", str(shades_folder), *TINY_WORDS, second=second)
    errors = [process.communicate(timeout=100)[1] for process in both]
    assert [process.returncode for process in both] == [2, 2], errors
    assert errors[0].startswith("grader: another process has failed; it says why")
    assert errors[1].startswith(told)
    assert [len(lines.splitlines()) for lines in errors] == [1, 1]
    assert list(tmp_path.glob("runs/*")) == []

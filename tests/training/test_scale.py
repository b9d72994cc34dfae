"""Many devices and several processes give what one device gives."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from grader.catalogue import ROOT

WORKER = [sys.executable, "-m", "tests.training.scale_worker"]


def start(target: Path, how: str, devices: int, *several: str) -> subprocess.Popen[str]:
    flags = f"--xla_force_host_platform_device_count={devices}"
    return subprocess.Popen(
        [*WORKER, str(target), how, *several],
        cwd=ROOT,
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        _, told = process.communicate(timeout=400)
        assert process.returncode == 0, told[-2000:]


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    target = tmp_path_factory.mktemp("single") / "params.npz"
    finish(start(target, "plain", 1))
    return dict(np.load(target))


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
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    target = tmp_path / "two.npz"
    finish(*(start(target, how, 2, port, "2", str(number)) for number in range(2)))
    assert_close(target, single, 4)

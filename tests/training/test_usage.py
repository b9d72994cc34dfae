"""``train`` where something is wrong: one line that says what to do, and nothing written over."""

from __future__ import annotations

import re
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from solutions.training import runs
from solutions.training.disk import CannotSave
from solutions.training.loop import NotANumber
from tests.training.conftest import TINY_WORDS, python, said


def test_a_run_writes_over_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "report.html").write_text("another's")
    (tmp_path / "checkpoints").mkdir()  # empty, as a run leaves it that was killed at once
    (tmp_path / "log.txt").write_text("lies where it is meant to")
    code, _, errors = said(capsys, "train", *TINY_WORDS, "--out", str(tmp_path))
    assert code == 2
    assert f"{tmp_path} holds report.html of something else" in errors
    assert (tmp_path / "report.html").read_text() == "another's"
    (tmp_path / "report.html").unlink()
    code, _, errors = said(capsys, "train", *TINY_WORDS, "--out", str(tmp_path))
    assert code == 0, errors
    assert (tmp_path / "report.html").exists()


def test_runs_that_begin_at_once_get_folders_of_their_own(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: runs.reserve(tmp_path / "runs", "digits"), range(8)))
    assert len({folder.name for folder in found}) == 8
    assert all(folder.is_dir() for folder in found)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["digit"], "there is no recipe 'digit'"),
        (
            [*TINY_WORDS, "--set", "patch_size=3", "--data", "DATA"],
            "patch_size is 3; it must divide the image",
        ),
        (["--set", "batch_size=5000"], "batch_size is 5000, but there are only 1438 images"),
        (["--set", "epochs=1", "--set", "batch_size=1438"], "the whole run has 1 step"),
        (["vit-s16-224"], "this recipe is for images of your own: say --data FOLDER"),
        (["--resume", "nowhere"], "nowhere holds no run"),
        (["--resume", "nowhere", "--seed", "1"], "only --data, --tensorboard and the options for"),
        (
            ["--batch-size", "8"],
            "; say --set batch_size=… (python -m grader train --help ",
        ),
        (["--out", ""], "--out is the folder of the run; this one has other things in it"),
        (["--out", "README.md"], "--out README.md is a file; a run needs a folder"),
        (["--seed", str(2**32)], "Input should be less than or equal to 4294967295"),
        (
            ["--coordinator", "nonsense", "--num-processes", "1", "--process-id", "0"],
            "the coordinator is 'nonsense'; it must be host:port",
        ),
        (["--data"], "Option '--data' requires an argument. (python -m grader train --help"),
        (["--set", "name="], "name is ''; the folder of a run is called so"),
        (["--set", "name=.."], "name is '..'; the folder of a run is called so"),
        (["--set", "name=../up"], "name is '../up'; the folder of a run is called so"),
    ],
)
def test_usage_is_one_line(
    words: list[str],
    told: str,
    image_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("grader.commands.running.RUNS", tmp_path / "runs")
    words = [str(image_folder) if word == "DATA" else word for word in words]
    code, shown, errors = said(capsys, "train", *words)
    assert code == 2
    assert told in errors
    assert len(errors.splitlines()) == 1
    assert shown == ""
    assert list(tmp_path.glob("runs/*")) == []


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (CannotSave("the disk is full"), "is full. Go on with: python -m grader train --resume "),
        (NotANumber("try a smaller base_lr"), "base_lr, in a new run, .*: --set base_lr=0.0015\n"),
        (
            NotANumber("muon"),
            "in a new run, .*: --set base_lr=0.0015 --set muon_lr=0.01\n",
        ),
    ],
)
def test_a_run_that_fails_says_what_to_type_next(
    error: Exception,
    told: str,
    image_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fit(*given: Any) -> None:
        given[-1].on_start(0, 10, ())
        raise error

    monkeypatch.setattr(sys.modules["solutions.training.train"], "fit", fit)
    words = ["--data", str(image_folder), "--out", str(tmp_path / "run"), *TINY_WORDS]
    if str(error) == "muon":
        words += ["--set", "optimizer=muon", "--set", "muon_lr=1e8"]
    code, _, errors = said(capsys, "train", *words)
    assert code == 1
    assert re.search(told, errors), errors


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_who_stops_the_report_is_told_how_to_have_it(
    number: int, image_folder: Path, tmp_path: Path
) -> None:
    """A process of its own, which is stopped from within while it writes."""
    words = ["train", "--data", str(image_folder), "--out", str(tmp_path / "run"), *TINY_WORDS]
    text = (
        "import os, time\n"
        "from grader.cli import main\n"
        "from solutions.training import report\n"
        f"report.write = lambda *_: (os.kill(os.getpid(), {int(number)}), time.sleep(9))\n"
        f"main({words})\n"
    )
    done = python("-c", text)
    assert done.returncode == 130, done.stderr
    again = f"the report is not written. Go on with: python -m grader train --resume {tmp_path}/run"
    assert again in done.stdout
    assert "Traceback" not in done.stderr


def test_devices_that_are_not_there_are_one_line() -> None:
    done = python("-m", "grader", "train", JAX_PLATFORMS="cuda_of_nobody")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "JAX_PLATFORMS is 'cuda_of_nobody', but JAX finds no such device; leave" in done.stderr

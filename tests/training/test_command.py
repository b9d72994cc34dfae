"""``train``, ``eval`` and ``predict`` as a student types them."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from grader.catalogue import ROOT
from tests.training.conftest import TINY_WORDS, python

TRAIN = ["-m", "grader", "train"]


def parameters(run: Path) -> dict[str, np.ndarray]:
    """The newest checkpoint of a run, read in a process of its own."""
    target = run / "params.npz"
    script = (
        "import sys, jax, numpy as np; from pathlib import Path;"
        "from solutions.training.checkpoints import Checkpoints;"
        "step, state = Checkpoints(Path(sys.argv[1]) / 'checkpoints').newest_state();"
        "np.savez(sys.argv[2], step=step,"
        " **{str(i): np.asarray(x) for i, x in enumerate(jax.tree.leaves(state))})"
    )
    done = python("-c", script, str(run), str(target))
    assert done.returncode == 0, done.stderr
    return dict(np.load(target))


def equal(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


def test_train_eval_predict(image_folder: Path, tmp_path: Path) -> None:
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    run = tmp_path / "run"
    words = [*TRAIN, "--data", str(image_folder), "--out", str(run), *TINY_WORDS]
    done = python(*words, "--set", "epochs=3", **cache)
    assert done.returncode == 0, done.stderr
    assert "test accuracy" in done.stdout
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    page = (run / "report.html").read_text()
    assert page.count("data:image/png;base64,") >= 4
    assert not re.findall(r"(?:src|href)=['\"](?!data:)", page)
    assert "--set epochs=3" in page

    tested = python("-m", "grader", "eval", str(run), **cache)
    assert tested.returncode == 0, tested.stderr
    right = re.search(r"(\d+) of 12 right", tested.stdout)
    assert right is not None
    assert int(right[1]) / 12 == pytest.approx(lines[-1]["test_accuracy"], abs=1e-6)

    image = next(image_folder.glob("bright/*.png"))
    seen = python("-m", "grader", "predict", str(run), str(image), **cache)
    assert seen.returncode == 0, seen.stderr
    assert re.search(r"bright \d+\.\d%", seen.stdout)
    overlay = run / "predictions" / f"{image.stem}-attention.png"
    assert overlay.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["digit"], "there is no recipe 'digit'"),
        (["--set", "epochs"], "say --set FIELD=VALUE"),
        (
            [*TINY_WORDS, "--set", "patch_size=3", "--data", "DATA"],
            "patch_size is 3; it must divide the image",
        ),
        (["--resume", "nowhere"], "nowhere holds no run"),
        (["--resume", "nowhere", "--seed", "3"], "--resume goes on with a run as it was"),
    ],
)
def test_usage_is_one_line(words: list[str], told: str, image_folder: Path, tmp_path: Path) -> None:
    words = [str(image_folder) if word == "DATA" else word for word in words]
    out = [] if "--resume" in words else ["--out", str(tmp_path / "run")]
    done = python(*TRAIN, *words, *out)
    assert done.returncode == 2, done.stderr
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def begin(image_folder: Path, run: Path, cache: Path) -> subprocess.Popen[str]:
    """A run long enough to be interrupted."""
    words = [*TRAIN, "--data", str(image_folder), "--out", str(run), *TINY_WORDS]
    longer = ["--set", "epochs=60", "--set", "ema=0.9", "--set", "shift=1", "--seed", "5"]
    longer += ["--set", "checkpoint_every=3"]
    return subprocess.Popen(
        [sys.executable, *words, *longer],
        cwd=ROOT,
        env={**os.environ, "JAX_PLATFORMS": "cpu", "XDG_CACHE_HOME": str(cache)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_epochs(run: Path, count: int) -> None:
    end = time.monotonic() + 200
    metrics = run / "metrics.jsonl"
    while time.monotonic() < end:
        if metrics.exists() and len(metrics.read_text().splitlines()) >= count:
            return
        time.sleep(0.02)
    raise AssertionError("the run did not come so far")


@pytest.mark.parametrize("number", [signal.SIGTERM])
def test_a_signal_saves_and_says_how_to_resume(
    number: signal.Signals, image_folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    process = begin(image_folder, run, tmp_path / "cache")
    wait_for_epochs(run, 2)
    process.send_signal(number)
    told, errors = process.communicate(timeout=120)
    assert process.returncode == 128 + number, errors
    step = re.search(r"saved at step (\d+)\. Go on with: python -m grader train --resume", told)
    assert step is not None
    assert parameters(run)["step"] == int(step[1])


@pytest.mark.slow
def test_killed_at_any_moment_and_resumed_it_is_the_same_bit_for_bit(
    image_folder: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    whole = begin(image_folder, tmp_path / "whole", cache)
    _, errors = whole.communicate(timeout=300)
    assert whole.returncode == 0, errors
    expected = parameters(tmp_path / "whole")

    chance, run, kills = random.Random(0), tmp_path / "run", 0
    process = begin(image_folder, run, cache)
    wait_for_epochs(run, 1)
    while kills < 6:
        time.sleep(chance.uniform(0.0, 1.5))
        process.kill()
        process.communicate()
        kills += 1
        process = subprocess.Popen(
            [sys.executable, *TRAIN, "--resume", str(run)],
            cwd=ROOT,
            env={**os.environ, "JAX_PLATFORMS": "cpu", "XDG_CACHE_HOME": str(cache)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        time.sleep(chance.uniform(0.0, 6.0))
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert equal(parameters(run), expected)
    lines = (run / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == list(range(1, 61))

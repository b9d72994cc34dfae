"""What the tests of the training run share: tiny images, tiny recipes, the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grader import catalogue
from grader.catalogue import ROOT
from grader.cli import main
from grader.study import progress
from solutions.training.data import Dataset
from solutions.training.recipe import Recipe

TINY = Recipe(
    name="tiny",
    width=8,
    heads=2,
    depth=1,
    mlp=8,
    epochs=2,
    batch_size=8,
    base_lr=1e-2,
    patch_size=4,
)
"""Compiles in a second or two."""

CLASSES = ("dark", "bright")


def shades(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """``count`` noisy grey images 8 × 8, dark ones and bright ones."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(2, size=count).astype(np.int32)
    noise = generator.integers(0, 90, (count, 8, 8, 1))
    return (noise + 120 * labels[:, None, None, None]).astype(np.uint8), labels


@pytest.fixture(scope="session")
def tiny_data() -> Dataset:
    return Dataset("shades", *shades(40), *shades(11, 1), CLASSES)


_CACHE = tempfile.TemporaryDirectory(prefix="xla-of-the-tests-")


def environment(**more: str) -> dict[str, str]:
    """For processes of their own: CPUs, and a cache of programs that all of them share."""
    return {**os.environ, "JAX_PLATFORMS": "cpu", "XDG_CACHE_HOME": _CACHE.name, **more}


def started(*words: str, **more: str) -> subprocess.Popen[str]:
    """Python in the project's root, as a process of its own."""
    return subprocess.Popen(
        [sys.executable, *words],
        cwd=ROOT,
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def python(*words: str, timeout: float = 240, **more: str) -> subprocess.CompletedProcess[str]:
    """The same, to its end."""
    return subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def lines_of(run: Path) -> list[dict[str, Any]]:
    """``metrics.jsonl``."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def wait_for_epochs(run: Path, count: int) -> None:
    end = time.monotonic() + 200
    metrics = run / "metrics.jsonl"
    while time.monotonic() < end:
        if metrics.exists() and len(metrics.read_text().splitlines()) >= count:
            return
        time.sleep(0.02)
    raise AssertionError("the run did not come so far")


def parameters(run: Path) -> dict[str, np.ndarray]:
    """The state in the newest checkpoint of a run, by path, and its step."""
    import jax

    from solutions.training.checkpoints import Checkpoints

    checkpoints = Checkpoints(run / "checkpoints")
    try:
        step, state = checkpoints.newest_state()
    finally:
        checkpoints.close()
    leaves = jax.tree_util.tree_leaves_with_path(state)
    found = {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}
    return {**found, "step": np.array(step)}


def equal(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


@pytest.fixture(scope="session")
def shades_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each class with images, as ``--data`` takes it; not to be changed."""
    return write_shades(tmp_path_factory.mktemp("shades") / "images")


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """The same, to be changed."""
    return write_shades(tmp_path / "images")


def write_shades(root: Path) -> Path:
    from PIL import Image

    images, labels = shades(60)
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        folder = root / CLASSES[label]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(folder / f"{i}.png")
    return root


TINY_WORDS = [
    *("--set", "width=8", "--set", "heads=2", "--set", "depth=1", "--set", "mlp=8"),
    *("--set", "patch_size=4", "--set", "batch_size=8"),
]


@pytest.fixture(scope="session", autouse=True)
def compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Programs that several tests need are compiled by the first, processes included."""
    import jax

    cache = str(tmp_path_factory.mktemp("xla"))
    known = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = {name: getattr(jax.config, name) for name in known}
    jax.config.update(known[0], cache)
    jax.config.update(known[1], 0.1)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """The command line, in this process."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    told = capsys.readouterr()
    return int(ended.value.code or 0), told.out, told.err


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty problems folder and no progress, as on the first day."""
    folder = tmp_path / "problems"
    folder.mkdir()
    monkeypatch.setattr(catalogue, "PROBLEMS", folder)
    known: dict[int, progress.Reached] = {}
    monkeypatch.setattr(progress, "read", lambda: known)
    return folder

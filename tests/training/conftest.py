"""What the tests of the training run share: tiny images, tiny recipes, the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from grader.catalogue import ROOT
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


def python(
    *words: str, timeout: float = 240, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run Python in the project's root, as a process of its own."""
    return subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env={**os.environ, "JAX_PLATFORMS": "cpu", **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """A folder for each class with images, as ``--data`` takes it."""
    from PIL import Image

    images, labels = shades(60)
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        folder = tmp_path / "images" / CLASSES[label]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(folder / f"{i}.png")
    return tmp_path / "images"


TINY_WORDS = [
    *("--set", "width=8", "--set", "heads=2", "--set", "depth=1", "--set", "mlp=8"),
    *("--set", "patch_size=4", "--set", "batch_size=8"),
]
Command = Callable[..., subprocess.CompletedProcess[str]]


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

"""An oracle from outside: PyTorch's encoder layer and a small ViT in PyTorch, same weights.

Slow, and skipped where torch is missing: ``pip install torch && make test-slow``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from grader import catalogue
from grader.engine.cases import draw_arrays, draw_sizes, draw_weights
from grader.engine.reference import Solutions
from grader.engine.traced import Traced

pytestmark = pytest.mark.slow
pytest.importorskip("torch")

ORACLE = Path(__file__).with_name("torch_oracle.py")


def drawn(number: int) -> list[tuple[Traced, list[np.ndarray], list[np.ndarray], dict[str, int]]]:
    """The reference of a problem on five draws, with weights and inputs."""
    problem = catalogue.problem(number)
    generator = np.random.default_rng(1)
    found = []
    for draw in draw_sizes(problem, generator, 5):
        contract = problem.contracts[0]
        traced = Solutions().trace(number, contract, 0, draw.sizes)
        weights = draw_weights(traced.leaves, generator, "ordinary")
        arrays = draw_arrays(contract, draw.sizes, generator)
        found.append((traced, weights, arrays, dict(draw.sizes)))
    return found


def by_torch(
    traced: Traced, weights: list[np.ndarray], x: np.ndarray, sizes: dict[str, int], folder: Path
) -> np.ndarray:
    """What PyTorch makes of the same weights, in a process of its own."""
    named = {leaf.path: weight for leaf, weight in zip(traced.leaves, weights, strict=True)}
    numbers = {k: np.asarray(v) for k, v in sizes.items() if isinstance(v, int)}
    np.savez(folder / "in.npz", **{f"w:{k}": v for k, v in named.items()}, x=x, **numbers)
    command = [sys.executable, str(ORACLE), str(folder / "in.npz"), str(folder / "out.npy")]
    subprocess.run(command, check=True, timeout=120)
    result: np.ndarray = np.load(folder / "out.npy")
    return result


@pytest.mark.parametrize("number", [41, 46])
def test_the_reference_agrees_with_pytorch(number: int, tmp_path: Path) -> None:
    for traced, weights, arrays, sizes in drawn(number):
        ours = traced.run(weights, arrays)[0]
        theirs = by_torch(traced, weights, arrays[0], sizes, tmp_path)
        np.testing.assert_allclose(theirs, ours, rtol=1e-5, atol=1e-5)

"""Time the grader against the import of JAX, and its ways of evaluating against each other.

Everything is a ratio within one run, the median of several, in turns, so that a noisy machine
disturbs all alike.  ``--write`` puts the table into README.md.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.watching import LIMIT, save_to_verdict

ROOT = Path(__file__).parents[2]
ROUNDS = 7
IMPORTS = [sys.executable, "-c", "import jax, flax.linen, optax"]
GRADE = [sys.executable, "-m", "grader"]
NOT_ISOLATED = """
import sys
from grader.engine import worker
worker.isolate = lambda *_: []
from grader.cli import main
main(sys.argv[1:])
"""
COMMANDS = {
    "import jax, flax.linen, optax": IMPORTS,
    "a passing grade of 46, cold": [*GRADE, "solutions/46_vit_cls.py"],
    "the same, not isolated": [sys.executable, "-c", NOT_ISOLATED, "solutions/46_vit_cls.py"],
    "a right answer to 46 as in PyTorch, cold": [
        *GRADE,
        "tests/answers/46_vit_cls/right/as_in_pytorch.py",
        "--problem=46",
    ],
    "a failing one with its diagnosis, cold": [*GRADE, "tests/answers/demo/46_last_row.py"],
}
LIMITS = {
    "a passing grade of 46, cold": 3.0,
    "a failing one with its diagnosis, cold": 4.5,
}


def seconds(command: list[str]) -> float:
    """The wall-clock time of one command."""
    started = time.perf_counter()
    subprocess.run(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
    )
    return time.perf_counter() - started


def commands() -> list[tuple[str, str, str]]:
    """Rows: what, seconds, times the import (and the limit)."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, command in COMMANDS.items():
            times[name].append(seconds(command))
    base = statistics.median(times["import jax, flax.linen, optax"])
    rows = []
    for name, measured in times.items():
        median = statistics.median(measured)
        limit = f" (limit {LIMITS[name]})" if name in LIMITS else ""
        rows.append((name, f"{median:.2f} s", f"{median / base:.2f}{limit}"))
    for what, median in save_to_verdict(ROUNDS).items():
        limit = f"{median / base:.2f} (limit {LIMIT} s)"
        rows.append((f"watch: from a save of 46 to the verdict, {what}", f"{median:.2f} s", limit))
    return rows


def ways() -> list[tuple[str, str, str]]:
    """Rows: cases per second, each case with shapes of its own, in three ways."""
    import jax
    import numpy as np

    from grader import catalogue
    from grader.engine.cases import draw_arrays, draw_sizes, draw_weights
    from grader.engine.reference import Solutions

    problem = catalogue.problem(46)
    contract = problem.contracts[0]
    solutions = Solutions()
    generator = np.random.default_rng(0)
    draws = draw_sizes(problem, generator, 8)
    module = solutions.module(46)

    def by_numpy(i: int) -> None:
        traced = solutions.trace(46, contract, i, draws[i].sizes)
        weights = draw_weights(traced.leaves, generator, "ordinary")
        traced.run(weights, draw_arrays(contract, draws[i].sizes, generator))

    def call(i: int, wrap: Callable[..., object]) -> None:
        arrays = draw_arrays(contract, draws[i].sizes, generator)
        image = arrays[0].astype(np.float32)

        def run(x: object) -> object:
            return contract.run(module.vit_cls_forward, i, draws[i].sizes, {"image": x})

        jax.block_until_ready(wrap(run)(image))

    def by_eager(i: int) -> None:
        call(i, lambda run: run)

    def by_jit(i: int) -> None:
        call(i, jax.jit)

    rates = {}
    for name, way in (("NumPy", by_numpy), ("jax.jit", by_jit), ("eager JAX", by_eager)):
        measured = []
        for i in range(len(draws)):
            started = time.perf_counter()
            way(i)
            measured.append(time.perf_counter() - started)
        rates[name] = 1 / statistics.median(measured)
    return [
        (
            f"cases of 46 per second, new shapes each: {name}",
            f"{rate:.1f} /s",
            f"{rate / rates['eager JAX']:.0f} × eager",
        )
        for name, rate in rates.items()
    ]


def main() -> None:
    """Print the table; with ``--write`` put it into the README."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    rows = commands() + ways()
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    lines = [f"Measured on {machine}, medians of {ROUNDS} rounds in turns (`make bench`):", ""]
    lines += ["| what | median | ratio |", "|---|---|---|"]
    lines += [f"| {what} | {median} | {ratio} |" for what, median, ratio in rows]
    text = "\n".join(lines)
    print(text)
    if "--write" in sys.argv:
        from tests.readme import replace_part

        replace_part("bench", text)


if __name__ == "__main__":
    main()

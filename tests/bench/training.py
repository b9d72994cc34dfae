"""Images per second of the training step: JAX against PyTorch, side by side in one run.

The first of the sizes everywhere, ViT-S/16 where there is a GPU, too.  Each contestant is a process
of its own; they take turns of about two seconds, so that a noisy machine disturbs all alike; the
median counts.  ``model FLOP/s`` counts the matrix products of the model, forward and backward,
nothing else; the last column is its share of what a large product of the same type reaches here.

PyTorch is no dependency: without it only JAX is measured, and a line says so.

    python -m tests.bench.training [--write] [--batch 8] [--size ViT-S]
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterator

from tests.bench.contestants import CONTESTANTS, PRODUCT, SIZES

ROUNDS = 7
SECONDS = 2.0
BASE = "PyTorch eager, float32"


class Contestant:
    """A process that makes steps when it is asked.

    Attributes:
      told: what it said when it was ready, or why it is not.

    """

    def __init__(self, name: str, size: str, batch: int) -> None:
        environment = {
            **os.environ,
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # there are several on one GPU
            "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",  # for all, as `train` has it
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.contestants", name, size, str(batch)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        self.told = self._line() or "not measured: the process ended"
        self.ready = self.told.startswith("ready")
        self.times: list[float] = []
        if self.ready:
            self._count = 1
            self._count = max(1, math.ceil(SECONDS / self._seconds()))

    def turn(self) -> None:
        """Make steps for a while, and note how long one took."""
        self.times.append(self._seconds() / self._count)

    def _seconds(self) -> float:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{self._count}\n")
        self._process.stdin.flush()
        return float(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def leave(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.wait()


def measure(size: str, batch: int) -> tuple[dict[str, float], list[str], str]:
    """Seconds of a step by contestant; lines about those that did not run; the device."""
    there: dict[str, Contestant] = {}
    try:
        for name in CONTESTANTS:
            there[name] = Contestant(name, size, batch)
        ready = {name: contestant for name, contestant in there.items() if contestant.ready}
        for _ in range(ROUNDS):
            for contestant in ready.values():
                contestant.turn()
    finally:
        for contestant in there.values():
            contestant.leave()
    notes = [f"{name}: {c.told}" for name, c in there.items() if not c.ready]
    device = there["product, float32"].told.removeprefix("ready on ")
    return {name: statistics.median(c.times) for name, c in ready.items()}, notes, device


def table(name: str, batch: int = 0) -> Iterator[str]:
    """The rows for one size, in Markdown."""
    size = SIZES[name]
    batch = batch or size.batch
    seconds, notes, device = measure(name, batch)
    rates = {
        kind: 2 * PRODUCT**3 / seconds.pop(f"product, {kind}") for kind in ("float32", "bfloat16")
    }
    base = seconds.get(BASE)
    reached = ", ".join(f"{rate / 1e9:.0f} in {kind}" for kind, rate in rates.items())
    yield (
        f"{name}, batch {batch}, on {device} ({os.cpu_count()} cores, {platform.machine()}). "
        f"GFLOP/s of a product of {PRODUCT}: {reached}."
    )
    yield from ("", "| training step | images/s | ratio | model GFLOP/s | share of the product's |")
    yield "|---|---|---|---|---|"
    for who, second in seconds.items():
        flops = size.flops_per_image() * batch / second
        rate = rates["bfloat16" if "bfloat16" in who else "float32"]
        ratio = f"{base / second:.2f}" if base else "–"
        yield (
            f"| {who} | {batch / second:.0f} | {ratio} | {flops / 1e9:.0f} | {flops / rate:.0%} |"
        )
    yield from ("", *notes) if notes else ()


def main() -> None:
    """Print the tables; with ``--write`` put them into the README."""
    words = argparse.ArgumentParser()
    words.add_argument("--write", action="store_true")
    words.add_argument("--batch", type=int, default=0)
    words.add_argument("--size", default="")
    given = words.parse_args()
    sizes = [name for name in SIZES if name.startswith(given.size or "ViT")]
    if not given.size and not _has_gpu():
        sizes = sizes[:1]
    text = "\n\n".join("\n".join(table(name, given.batch)) for name in sizes)
    print(text)
    if given.write:
        from tests.readme import replace_part

        replace_part("bench-training", text)


def _has_gpu() -> bool:
    """Asked in another process, so that this one leaves the GPU alone."""
    ask = [sys.executable, "-c", "import jax; print(jax.default_backend())"]
    return "gpu" in subprocess.run(ask, capture_output=True, text=True, check=False).stdout


if __name__ == "__main__":
    main()

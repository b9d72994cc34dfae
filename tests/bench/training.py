"""Images per second of the training step: JAX against PyTorch, side by side in one run.

The first of the sizes everywhere, ViT-S/16 where there is a GPU, too.  Each contestant is a process
of its own; they take turns of a second or two, so that a noisy machine disturbs all alike; the
median counts.  ``model FLOP/s`` counts the matrix products of the model, forward and backward,
nothing else; the last column is its share of what a large product of the same type reaches here.

PyTorch is no dependency: without it only JAX is measured, and a line says so.

    python -m tests.bench.training [--write] [--batch 8] [--size ViT-S] [--type bfloat16]
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
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.bench.contestants import BUILT, CONTESTANTS, GRAPHS, PRODUCT, SIZES

ROUNDS = 7
KINDS = ("float32", "bfloat16")
KEPT = ":".join(
    f"glibc.malloc.{name}"
    for name in ("hugetlb=1", "mmap_max=0", "arena_max=1", f"trim_threshold={2**40}")
)
"""For all contestants: large pages, as `train` asks for them, and memory stays with the process.

A training run is one program for an epoch, so it gets its memory once for hundreds of steps.  Here
a turn is a few, and without this the system took memory back and gave it anew between turns: up to
1.7 of 2.3 s of a step went there, in some processes and not in others.

Source: the manual of the GNU C library, "Memory Allocation Tunables".
"""


@dataclass(frozen=True)
class Turns:
    """How long a turn is, and how long the pause before it, in seconds.

    On a CPU the threads of the contestant before go on spinning for a while.
    """

    seconds: float
    pause: float


ON_CPU, ON_GPU = Turns(2.0, 0.5), Turns(0.5, 0.0)


class Contestant:
    """A process that makes steps when it is asked.

    Attributes:
      failure: why it makes none, empty while it does.
      times: seconds of a step, of each turn.

    """

    def __init__(self, name: str, size: str, batch: int) -> None:
        environment = {
            **os.environ,
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # there are several on one GPU
            "GLIBC_TUNABLES": KEPT,
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
        self.failure = ""
        self.times: list[float] = []

    def wait_until_built(self) -> None:
        """All are built at once; what comes after is for one alone."""
        told = self._line()
        if told != BUILT:
            self.failure = told

    def get_ready(self, turns: Turns) -> None:
        """Compile, and find out how many steps fill a turn."""
        self._turns, self._count = turns, 1
        self._seconds()
        self._count = max(1, math.ceil(turns.seconds / (self._seconds() or 1)))

    def turn(self) -> None:
        """Make steps for a while, and note how long one took."""
        time.sleep(self._turns.pause)
        seconds = self._seconds()
        if not self.failure:
            self.times.append(seconds / self._count)

    def _seconds(self) -> float:
        """Of as many steps as fill a turn; 0 from one that failed."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(f"{self._count}\n")
            self._process.stdin.flush()
        told = self._line()
        try:
            return float(told)
        except ValueError:
            self.failure = self.failure or told
            return 0.0

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip() or "not measured: the process ended"

    def leave(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.wait()


def measure(
    names: Sequence[str], size: str, batch: int, turns: Turns
) -> tuple[dict[str, float], list[str]]:
    """Seconds of a step by contestant, and lines about those that made none."""
    there = {name: Contestant(name, size, batch) for name in names}
    try:
        for contestant in there.values():
            contestant.wait_until_built()
        for contestant in there.values():
            if not contestant.failure:
                contestant.get_ready(turns)
        ready = {name: contestant for name, contestant in there.items() if not contestant.failure}
        for _ in range(ROUNDS):
            for contestant in ready.values():
                contestant.turn()
    finally:
        for contestant in there.values():
            contestant.leave()
    notes = [f"{name}: {c.failure}" for name, c in there.items() if c.failure]
    fine = {name: c for name, c in ready.items() if not c.failure}
    return {name: statistics.median(c.times) for name, c in fine.items()}, notes


def table(name: str, batch: int, kinds: Sequence[str], device: str) -> Iterator[str]:
    """The rows for one size, in Markdown."""
    size = SIZES[name]
    batch = batch or size.batch
    on_cpu = device == "cpu"
    names = [who for who in CONTESTANTS if any(kind in who for kind in kinds)]
    names = [who for who in names if not (on_cpu and who == GRAPHS)]
    seconds, notes = measure(names, name, batch, ON_CPU if on_cpu else ON_GPU)
    rates = {kind: 2 * PRODUCT**3 / seconds.pop(f"product, {kind}", math.nan) for kind in kinds}
    first = next(who for who in names if "PyTorch" in who)
    base = seconds.get(first)
    reached = ", ".join(f"{rate / 1e9:.0f} in {kind}" for kind, rate in rates.items())
    yield (
        f"{name}, batch {batch}, on {device} ({os.cpu_count()} cores, {platform.machine()}). "
        f"GFLOP/s of a product of {PRODUCT}: {reached}. The ratio is to {first}."
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
    words.add_argument("--type", choices=KINDS, action="append")
    given = words.parse_args()
    device = _device()
    sizes = [name for name in SIZES if name.startswith(given.size or "ViT")]
    if not given.size and device == "cpu":
        sizes = sizes[:1]
    tables = (table(name, given.batch, given.type or KINDS, device) for name in sizes)
    text = "\n\n".join("\n".join(lines) for lines in tables)
    print(text)
    if given.write:
        from tests.readme import replace_part

        replace_part("bench-training", text)


def _device() -> str:
    """Asked in another process, so that this one leaves a GPU alone."""
    ask = [sys.executable, "-c", "from tests.bench.contestants import device; print(device())"]
    return subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main()

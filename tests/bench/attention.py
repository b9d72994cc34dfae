"""The layouts of attention beside each other: ``python -m tests.bench.attention [BATCH]``.

The published student (528 channels, 16 heads of 33, 64 patches), forward and with gradients, in
turns within one run. The ratio to ``plain`` is taken within each turn; its median and quartiles
are printed. On a CPU it is processor time that is measured, as other processes disturb it less.
Where training computes in bfloat16, so does this: only then is there a fused kernel to reach.
What the layouts compute is the same (see the tests).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from statistics import median, quantiles
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from solutions.distillation.attention import LAYOUTS, SelfAttention
from solutions.distillation.student import ViTExtraHead
from solutions.training.fused import has_bfloat16


def programs(model: nn.Module, example: jax.Array) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Forward, and forward with the gradients of parameters and inputs, for a batch."""
    variables = jax.jit(model.init)(jax.random.key(0), example[0].astype(jnp.float32))
    variables = jax.tree.map(lambda leaf: leaf.astype(example.dtype), variables)

    def forward(variables: Any, x: Any) -> Any:
        out = jax.vmap(lambda x: model.apply(variables, x))(x)
        return out[0] if isinstance(out, tuple) else out

    gradient = jax.grad(lambda v, x: jnp.square(forward(v, x)).sum(), argnums=(0, 1))
    compiled = (jax.jit(forward), jax.jit(gradient))
    return tuple(lambda f=f: jax.block_until_ready(f(variables, example)) for f in compiled)


def compare(models: dict[str, nn.Module], example: jax.Array, rounds: int) -> None:
    """Times in turns; the ratio to plain is taken within each turn, against noise."""
    runs = {name: programs(model, example) for name, model in models.items()}
    clock = time.process_time if jax.default_backend() == "cpu" else time.perf_counter
    seconds: dict[str, list[list[float]]] = {name: [[], []] for name in models}
    for turn in range(-1, rounds):
        for name, both in runs.items():
            for which, run in enumerate(both):
                start = clock()
                run()
                if turn >= 0:
                    seconds[name][which].append(clock() - start)
    for name, both in seconds.items():
        shown = []
        for times, plain in zip(both, seconds["plain"], strict=True):
            ratios = [time / base for time, base in zip(times, plain, strict=True)]
            low, middle, high = quantiles(ratios, n=4)
            shown.append(f"{median(times) * 1e3:7.1f} ms {middle:.2f} ({low:.2f}–{high:.2f})")
        print(f"  {name:8} forward {shown[0]}   with gradients {shown[1]}")


def main(batch: int) -> None:
    dtype = jnp.bfloat16 if has_bfloat16() else jnp.float32
    print(f"{jax.devices()[0].device_kind}, batch {batch}, {jnp.dtype(dtype).name}")
    print("attention of one block, medians of 41 turns")
    tokens = jax.random.normal(jax.random.key(1), (batch, 64, 528), dtype)
    compare({name: SelfAttention(16, name) for name in LAYOUTS}, tokens, 41)
    print("the whole student, medians of 7 turns")
    images = jax.random.uniform(jax.random.key(2), (batch, 224, 224, 3), dtype)
    compare({name: ViTExtraHead(28, 512, 16, 6, layout=name) for name in LAYOUTS}, images, 7)


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 8 if jax.default_backend() == "cpu" else 256)

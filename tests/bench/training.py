"""Images per second of the training step: JAX against PyTorch, side by side in one run.

ViT of width 192, depth 6, 3 heads, patch 4, batch 128, images 32 × 32 × 3 (problem 45's model and
problem 50's step).  The contestants take turns, so that a noisy machine disturbs all alike; the
median counts.  ``model FLOP/s`` counts the matrix products of the model, forward and backward,
nothing else; the last column is its share of what a large float32 product reaches here.

PyTorch is no dependency: without it only JAX is measured, and a line says so.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from solutions.training.recipe import Recipe

RECIPE = Recipe(name="bench", model="mean_pool", patch_size=4, width=192, heads=3, depth=6, mlp=768)
IMAGE, CLASSES, BATCH, ROUNDS = (32, 32, 3), 10, 128, 7
Step = Callable[[], None]


def flops_per_image() -> float:
    """Of one training step: the products of the forward pass, times three."""
    tokens = (IMAGE[0] // RECIPE.patch_size) ** 2
    width, mlp = RECIPE.width, RECIPE.mlp
    block = 2 * tokens * (4 * width**2 + 2 * width * mlp) + 4 * tokens**2 * width
    patches = 2 * tokens * RECIPE.patch_size**2 * IMAGE[2] * width
    return 3.0 * (RECIPE.depth * block + patches + 2 * width * CLASSES)


def batch() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    images = generator.normal(size=(BATCH, *IMAGE)).astype(np.float32)
    return images, generator.integers(CLASSES, size=BATCH)


def jax_step(dtype: str) -> Step:
    """A jitted step with a donated state; waits for the result."""
    import jax
    from flax.training.train_state import TrainState

    from grader import use
    from solutions.training.models import build

    step50 = use(50)
    model = build(dataclasses.replace(RECIPE, dtype=dtype), IMAGE, CLASSES)
    tx = step50.make_optimizer(1e-3, 10, 1000, 0.05, 1.0)

    def apply_fn(variables: Any, images: Any) -> Any:
        return model.apply(variables["params"], images)

    params = model.init(jax.random.key(0))
    state = TrainState.create(apply_fn=apply_fn, params=params, tx=tx)
    images, labels = batch()
    data = {"image": jax.device_put(images), "label": jax.device_put(labels)}
    run = jax.jit(step50.train_step, donate_argnums=0)

    def step() -> None:
        nonlocal state
        state, _ = run(state, data)
        jax.block_until_ready(state)

    return step


def torch_step(narrow: bool, compiled: bool) -> Step:
    """The same model, optimiser and loss in PyTorch, as its users write them."""
    import torch
    from torch import nn
    from torch.nn import functional

    device = "cuda" if torch.cuda.is_available() else "cpu"
    width, heads = RECIPE.width, RECIPE.heads

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm_1, self.norm_2 = (nn.LayerNorm(width, eps=1e-6) for _ in range(2))
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.mlp_in, self.mlp_out = nn.Linear(width, RECIPE.mlp), nn.Linear(RECIPE.mlp, width)

        def forward(self, x: Any) -> Any:
            split = self.qkv(self.norm_1(x)).unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
            mixed = functional.scaled_dot_product_attention(*split).transpose(1, 2).flatten(2)
            x = x + self.out(mixed)
            hidden = functional.gelu(self.mlp_in(self.norm_2(x)), approximate="tanh")
            return x + self.mlp_out(hidden)

    class ViT(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patches = nn.Conv2d(IMAGE[2], width, RECIPE.patch_size, RECIPE.patch_size)
            tokens = (IMAGE[0] // RECIPE.patch_size) ** 2
            self.positions = nn.Parameter(torch.randn(tokens, width) * 0.02)
            self.blocks = nn.Sequential(*(Block() for _ in range(RECIPE.depth)))
            self.norm, self.head = nn.LayerNorm(width, eps=1e-6), nn.Linear(width, CLASSES)

        def forward(self, x: Any) -> Any:
            x = self.patches(x).flatten(2).transpose(1, 2) + self.positions
            return self.head(self.norm(self.blocks(x)).mean(1))

    model = ViT().to(device)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=0.05, fused=True)
    images, labels = batch()
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().to(device)
    classes = torch.from_numpy(labels).to(device)
    forward = torch.compile(model) if compiled else model

    def step() -> None:
        with torch.autocast(device, torch.bfloat16, enabled=narrow):
            loss = functional.cross_entropy(forward(pixels), classes, label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()

    return step


def matmul_step() -> Step:
    """A square float32 product of 2048, the measure of what the device can do."""
    import jax
    import jax.numpy as jnp

    square = jnp.ones((2048, 2048))
    run = jax.jit(jnp.matmul)

    def step() -> None:
        run(square, square).block_until_ready()

    return step


MATMUL = "a product 2048 × 2048"
CONTESTANTS: dict[str, Callable[[], Step]] = {
    MATMUL: matmul_step,
    "PyTorch eager, float32": lambda: torch_step(False, False),
    "JAX, float32": lambda: jax_step("float32"),
    "PyTorch compiled, float32": lambda: torch_step(False, True),
    "JAX, bfloat16": lambda: jax_step("bfloat16"),
    "PyTorch eager, bfloat16": lambda: torch_step(True, False),
    "PyTorch compiled, bfloat16": lambda: torch_step(True, True),
}


def measure() -> tuple[dict[str, float], list[str]]:
    """Seconds of one step, the median, by contestant; and lines about those that did not run."""
    steps, notes = {}, []
    for name, make in CONTESTANTS.items():
        try:
            step = make()
            step()  # compiles
            step()
            steps[name] = step
        except ImportError:
            notes.append(f"{name}: not measured, PyTorch is not installed")
        except Exception as error:
            if name == MATMUL:
                raise
            reason = (str(error).splitlines() or [""])[0][:100]
            notes.append(f"{name}: not measured ({type(error).__name__}: {reason})")
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(ROUNDS):
        for name, step in steps.items():
            began = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in times.items()}, notes


def table() -> str:
    """The rows, in Markdown."""
    import jax

    seconds, notes = measure()
    rate = 2 * 2048**3 / seconds.pop(MATMUL)
    base = seconds.get("PyTorch eager, float32", seconds["JAX, float32"])
    lines = [
        f"On {jax.devices()[0].device_kind}; a float32 product of 2048 reaches {rate / 1e9:.0f} "
        "GFLOP/s.",
        "",
        "| training step | images/s | ratio | model GFLOP/s | share of the product's |",
        "|---|---|---|---|---|",
    ]
    for name, second in seconds.items():
        flops = flops_per_image() * BATCH / second
        lines.append(
            f"| {name} | {BATCH / second:.0f} | {base / second:.2f} | {flops / 1e9:.0f} "
            f"| {flops / rate:.0%} |"
        )
    return "\n".join([*lines, *([""] if notes else []), *notes])


if __name__ == "__main__":
    print(table())

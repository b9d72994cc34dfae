"""The training step in JAX and in PyTorch, each in a process of its own.

``python -m tests.bench.contestants NAME SIZE BATCH`` builds and traces, says so, makes as many
steps as each line of its input says, and answers with the seconds that they took, after one that
does not count.  In the first of them JAX compiles, for which it needs a GPU to itself, as it times
kernels there.  `training` is who asks.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from solutions.training.recipe import Recipe

Steps = Callable[[int], None]
"""Makes so many steps, and returns when the device has the result."""

BUILT = "built"
PRODUCT = 4096
GRAPHS = "PyTorch compiled, CUDA graphs, bfloat16"
STUDENT = "tests/answers/45_vit_mean_pool/right/separate_modules_dict.py"


@dataclass(frozen=True)
class Size:
    """A ViT of problem 45, and what it is trained on."""

    recipe: Recipe
    image: tuple[int, int, int]
    batch: int
    classes: int = 10

    def flops_per_image(self) -> float:
        """Of one training step: the products of the forward pass, times three."""
        recipe = self.recipe
        tokens = (self.image[0] // recipe.patch_size) ** 2
        block = 2 * tokens * (4 * recipe.width**2 + 2 * recipe.width * recipe.mlp)
        block += 4 * tokens**2 * recipe.width
        patches = 2 * tokens * recipe.patch_size**2 * self.image[2] * recipe.width
        return 3.0 * (recipe.depth * block + patches + 2 * recipe.width * self.classes)


def _recipe(patch: int, width: int, heads: int, depth: int) -> Recipe:
    sizes = {"patch_size": patch, "width": width, "heads": heads, "depth": depth}
    return Recipe(name="bench", model="mean_pool", mlp=4 * width, **sizes)


SIZES = {
    "ViT of width 192, depth 6, patch 4, 32 × 32": Size(_recipe(4, 192, 3, 6), (32, 32, 3), 128),
    "ViT-S/16, 224 × 224": Size(_recipe(16, 384, 6, 12), (224, 224, 3), 128, 1000),
}


def batch(size: Size) -> tuple[np.ndarray, np.ndarray]:
    """Noise with labels."""
    generator = np.random.default_rng(0)
    images = generator.normal(size=(size.batch, *size.image)).astype(np.float32)
    return images, generator.integers(size.classes, size=size.batch)


def jax_steps(size: Size, dtype: str, mine: bool = False) -> Steps:
    """Problem 50's step in a loop that is one program, as in a training run."""
    import jax
    from flax.training.train_state import TrainState

    from grader import use
    from grader.catalogue import ROOT
    from grader.engine.submission import load
    from solutions.training.mine_model import model_of
    from solutions.training.models import build

    recipe, step50 = dataclasses.replace(size.recipe, dtype=dtype), use(50)
    if mine:
        answer = load((ROOT / STUDENT).read_text(), STUDENT, "answer")
        model = model_of(answer, recipe, size.image, size.classes)
    else:
        model = build(recipe, size.image, size.classes)
    tx = step50.make_optimizer(1e-3, 10, 1000, 0.05, 1.0)

    def apply_fn(variables: Any, images: Any) -> Any:
        return model.apply(variables["params"], images)

    params = jax.jit(model.init)(jax.random.key(0))
    state = TrainState.create(apply_fn=apply_fn, params=params, tx=tx)
    images, labels = batch(size)
    data = {"image": jax.device_put(images), "label": jax.device_put(labels)}

    def many(state: Any, data: Any, count: Any) -> Any:
        return jax.lax.fori_loop(0, count, lambda _, s: step50.train_step(s, data)[0], state)

    state = jax.tree.map(jax.numpy.array, state)
    lowered = jax.jit(many, donate_argnums=0).lower(state, data, np.int32(1))
    compiled = functools.cache(lowered.compile)

    def steps(count: int) -> None:
        nonlocal state
        state = jax.block_until_ready(compiled()(state, data, np.int32(count)))

    return steps


def torch_steps(size: Size, narrow: bool, mode: str = "") -> Steps:
    """The same model, optimiser and loss in PyTorch, as its users write them.

    ``mode`` is that of ``torch.compile``, or empty for PyTorch eager.
    """
    import torch
    from torch import nn
    from torch.nn import functional

    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda":
        torch.set_float32_matmul_precision("high")  # TF32, which is JAX's default on GPUs
    recipe, width = size.recipe, size.recipe.width
    patch, heads, mlp = recipe.patch_size, recipe.heads, recipe.mlp
    tokens = (size.image[0] // patch) ** 2

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm_1, self.norm_2 = (nn.LayerNorm(width, eps=1e-6) for _ in range(2))
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.mlp_in, self.mlp_out = nn.Linear(width, mlp), nn.Linear(mlp, width)

        def forward(self, x: Any) -> Any:
            split = self.qkv(self.norm_1(x)).unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
            mixed = functional.scaled_dot_product_attention(*split).transpose(1, 2).flatten(2)
            x = x + self.out(mixed)
            hidden = functional.gelu(self.mlp_in(self.norm_2(x)), approximate="tanh")
            return x + self.mlp_out(hidden)

    class ViT(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patches = nn.Conv2d(size.image[2], width, patch, patch)
            self.positions = nn.Parameter(torch.randn(tokens, width) * 0.02)
            self.blocks = nn.Sequential(*(Block() for _ in range(recipe.depth)))
            self.norm, self.head = nn.LayerNorm(width, eps=1e-6), nn.Linear(width, size.classes)

        def forward(self, x: Any) -> Any:
            x = self.patches(x).flatten(2).transpose(1, 2) + self.positions
            return self.head(self.norm(self.blocks(x)).mean(1))

    model = ViT().to(device)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=0.05, fused=True)
    images, labels = batch(size)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().to(device)
    classes = torch.from_numpy(labels).to(device)
    forward = torch.compile(model, mode=mode) if mode else model
    with torch.autocast(device, torch.bfloat16, enabled=narrow):
        forward(pixels).sum().backward()  # compiles
    optimizer.zero_grad()

    def steps(count: int) -> None:
        for _ in range(count):
            torch.compiler.cudagraph_mark_step_begin()
            with torch.autocast(device, torch.bfloat16, enabled=narrow):
                loss = functional.cross_entropy(forward(pixels), classes, label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()

    return steps


def product_steps(dtype: str) -> Steps:
    """Square products with a float32 result, the measure of what the device can do."""
    import jax
    import jax.numpy as jnp

    square = jax.random.normal(jax.random.key(0), (PRODUCT, PRODUCT), dtype)
    run = jax.jit(lambda x: jnp.matmul(x, x, preferred_element_type=jnp.float32))

    def steps(count: int) -> None:
        for _ in range(count):
            product = run(square)
        jax.block_until_ready(product)

    return steps


CONTESTANTS: dict[str, Callable[[Size], Steps]] = {
    "product, float32": lambda _: product_steps("float32"),
    "product, bfloat16": lambda _: product_steps("bfloat16"),
    "PyTorch eager, float32": lambda size: torch_steps(size, False),
    "PyTorch compiled, float32": lambda size: torch_steps(size, False, "default"),
    "JAX, float32": lambda size: jax_steps(size, "float32"),
    "JAX, float32, a student's answer": lambda size: jax_steps(size, "float32", mine=True),
    "PyTorch eager, bfloat16": lambda size: torch_steps(size, True),
    "PyTorch compiled, bfloat16": lambda size: torch_steps(size, True, "default"),
    GRAPHS: lambda size: torch_steps(size, True, "reduce-overhead"),
    "JAX, bfloat16": lambda size: jax_steps(size, "bfloat16"),
    "JAX, bfloat16, a student's answer": lambda size: jax_steps(size, "bfloat16", mine=True),
}


def device() -> str:
    """What JAX computes on here, ``cpu`` or the name of a GPU."""
    import jax

    return str(jax.devices()[0].device_kind)


def seconds_of(steps: Steps, count: int) -> float:
    """Of ``count`` steps, after one that does not count."""
    steps(1)
    began = time.perf_counter()
    steps(count)
    return time.perf_counter() - began


def main() -> None:
    """Build, then answer; or say why not, once."""
    name, size, batch_size = sys.argv[1], SIZES[sys.argv[2]], int(sys.argv[3])
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    try:
        steps = CONTESTANTS[name](dataclasses.replace(size, batch=batch_size or size.batch))
        print(BUILT, file=answer, flush=True)
        for line in sys.stdin:
            print(seconds_of(steps, int(line)), file=answer, flush=True)
    except ImportError as error:
        print(f"not measured: {error.name} is not installed", file=answer, flush=True)
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0][:100]
        print(f"not measured: {type(error).__name__}: {reason}", file=answer, flush=True)


if __name__ == "__main__":
    main()

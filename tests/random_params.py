"""Random parameters for a Linen model without compiling its initialisers."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import numpy as np

QKV = ("query", "key", "value")


def random_params(model: nn.Module, *inputs: Any, seed: int = 0) -> Any:
    """Every leaf random, of a size that keeps activations near 1; nothing stays 0 or 1."""
    generator = np.random.default_rng(seed)
    shapes = jax.eval_shape(model.init, jax.random.key(0), *inputs)["params"]

    def draw(path: Any, leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        name = path[-1].key
        if name == "kernel":
            # Attention's kernels: (D, H, d) in, (H, d, D) out.
            fan_in = leaf.shape[0] if path[-2].key in QKV else np.prod(leaf.shape[:-1])
            scale = fan_in**-0.5
        else:
            scale = 0.1
        centre = 1.0 if name == "scale" else 0.0
        return (centre + scale * generator.standard_normal(leaf.shape)).astype(np.float32)

    return jax.tree_util.tree_map_with_path(draw, shapes)

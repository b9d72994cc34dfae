"""See what happens inside a ViT: its tokens, keys and attention, layer by layer.

Works for any Linen model with a module ``patch_embed`` and encoder blocks ``block_0``,
``block_1``, … that hold a module ``attention`` with ``query`` and ``key`` that give (T, H, d):
the references of problems 45 to 48 and the models of `solutions.distillation`. The model is not
changed; Flax's `intercept_methods` hands over what goes in and out of its modules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

_BLOCK = re.compile(r"block_(\d+)")


@dataclass(frozen=True)
class Rows:
    """Which rows of the sequence are what.

    Attributes:
      patches: the rows of the patches, in the order of the image.
      cls: the row of the CLS token; None where there is none.
      registers: the rows of the registers.

    """

    patches: slice
    cls: int | None = None
    registers: slice = field(default_factory=lambda: slice(0, 0))

    @staticmethod
    def of(
        num_patches: int,
        cls: bool = True,
        num_registers: int = 0,
    ) -> Rows:
        """Rows as problems 45 to 48 have them: CLS, patches, registers."""
        first = int(cls)
        end = first + num_patches
        return Rows(slice(first, end), 0 if cls else None, slice(end, end + num_registers))


@dataclass(frozen=True)
class Layers:
    """What a batch of images looks like inside, for L blocks.

    Attributes:
      tokens: (L + 1, B, T, D): before the first block and after each.
      keys: (L, B, T, H, d).
      attention: (L, B, H, T, T), rows are queries; each row adds up to 1.
      embedded: (B, N, D): the patches as the patch embedding gives them, without positions.
      outputs: what the model returns, with a leading batch axis.
      rows: which of the T rows are what.

    """

    tokens: Float[np.ndarray, "L+1 B T D"]
    keys: Float[np.ndarray, "L B T H d"]
    attention: Float[np.ndarray, "L B H T T"]
    embedded: Float[np.ndarray, "B N D"]
    outputs: Any
    rows: Rows

    @property
    def patch_tokens(self) -> Float[np.ndarray, "L+1 B N D"]:
        """The rows of the patches."""
        return self.tokens[:, :, self.rows.patches]

    @property
    def patch_keys(self) -> Float[np.ndarray, "L B N H*d"]:
        """The keys of the patches, heads side by side."""
        keys = self.keys[:, :, self.rows.patches]
        return keys.reshape(*keys.shape[:3], -1)


def capture(
    model: nn.Module,
    params: Mapping[str, Any],
    images: Float[Array, "B H W C"],
    rows: Rows,
    *,
    mask: np.ndarray | None = None,
    batch_size: int = 64,
) -> Layers:
    """Run ``model`` on ``images`` and keep what its blocks do.

    Args:
      model: maps one image (H, W, C) to anything.
      params: its parameters.
      images: (B, H, W, C).
      rows: which rows of the sequence are patches, CLS, registers.
      mask: (T, T), True where attention is allowed, for a model that has a mask.
      batch_size: images at a time; the attention of one image takes L·H·T² floats.

    Returns:
      The layers of all images, as NumPy arrays.

    Raises:
      ValueError: the model has no blocks or no attention under the names above, or ``rows`` do
        not fit the sequence.

    """
    parts = [
        jax.device_get(_inside(model, params, images[start : start + batch_size], mask))
        for start in range(0, len(images), batch_size)
    ]
    if not parts:
        raise ValueError("there are no images to look at")
    tokens, keys, attention, embedded, outputs = (
        jax.tree.map(lambda *arrays: np.concatenate(arrays), *part) for part in zip(*parts)
    )
    length = tokens.shape[2]
    if max(rows.patches.stop, rows.registers.stop) > length:
        raise ValueError(f"the rows {rows} do not fit a sequence of {length} tokens")
    tokens, keys, attention = (np.moveaxis(x, 1, 0) for x in (tokens, keys, attention))
    return Layers(tokens, keys, attention, embedded, outputs, rows)


def module_outputs(
    model: nn.Module,
    params: Mapping[str, Any],
    images: Float[Array, "B H W C"],
    path: str,
) -> Float[np.ndarray, " B *shape"]:
    """What one module of ``model`` gives for each image, such as ``block_1/norm_2``.

    Raises:
      ValueError: no module of this name is called.

    """
    return np.asarray(_one_output(model, params, images, path))


@partial(jax.jit, static_argnames=("model", "path"))
@partial(jax.vmap, in_axes=(None, None, 0, None))
def _one_output(model: nn.Module, params: Mapping[str, Any], image: Array, path: str) -> Any:
    _, seen = _watch(lambda: model.apply({"params": params}, image))
    return _output(seen, path)


# Compiled once for a model and a shape, so that looking at many checkpoints is cheap.
@partial(jax.jit, static_argnames=("model",))
@partial(jax.vmap, in_axes=(None, None, 0, None))
def _inside(
    model: nn.Module, params: Mapping[str, Any], image: Array, mask: Array | None
) -> tuple[Array, Array, Array, Array, Any]:
    """Tokens (L + 1, T, D), keys (L, T, H, d), attention (L, H, T, T), patches (N, D), outputs."""
    outputs, seen = _watch(lambda: model.apply({"params": params}, image))
    blocks = sorted((p for p in seen if _BLOCK.fullmatch(p)), key=lambda p: int(p[6:]))
    if not blocks:
        raise ValueError("the model has no modules block_0, block_1, …")
    tokens = [seen[blocks[0]][0], *(seen[block][1] for block in blocks)]
    keys, attention = [], []
    for block in blocks:
        query, key = (_output(seen, f"{block}/attention/{name}") for name in ("query", "key"))
        if query.ndim != 3:
            raise ValueError(f"{block}/attention/query gives {query.shape}, not (T, H, d)")
        keys.append(key)
        attention.append(_weights(query, key, mask))
    embedded = _output(seen, "patch_embed")
    embedded = embedded.reshape(-1, embedded.shape[-1])
    return jnp.stack(tokens), jnp.stack(keys), jnp.stack(attention), embedded, outputs


def _watch(run: Callable[[], Any]) -> tuple[Any, dict[str, tuple[Any, Any]]]:
    """What ``run`` returns, and for every module called in it: its first input, its output."""
    seen: dict[str, tuple[Any, Any]] = {}

    def note(call: Any, args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
        output = call(*args, **kwargs)
        if context.method_name == "__call__" and args:
            seen["/".join(context.module.path)] = (args[0], output)
        return output

    with nn.intercept_methods(note):
        outputs = run()
    return outputs, seen


def _output(seen: Mapping[str, tuple[Any, Any]], path: str) -> Any:
    if path not in seen:
        raise ValueError(f"the model has no module {path}; it has {', '.join(sorted(seen))}")
    return seen[path][1]


def _weights(query: Array, key: Array, mask: Array | None) -> Float[Array, "H T T"]:
    scores = jnp.einsum("qhd,khd->hqk", query, key) / query.shape[-1] ** 0.5
    return nn.softmax(scores, axis=-1, where=None if mask is None else mask[None])

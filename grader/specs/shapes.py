"""Sizes that several problems share: images, patches, heads, layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from grader.problem import ArraySpec, Sizes

IMAGE_FIELDS: Mapping[str, Sequence[Any]] = {
    "grid_h": range(1, 5),
    "grid_w": range(1, 5),
    "patch_size": range(2, 4),
    "channels": range(1, 5),
}
WIDTH_FIELDS: Mapping[str, Sequence[Any]] = {"num_heads": range(2, 5), "head_dim": range(3, 8)}
BLOCK_FIELDS: Mapping[str, Sequence[Any]] = {**WIDTH_FIELDS, "d_ff": range(5, 28)}
VIT_FIELDS: Mapping[str, Sequence[Any]] = {
    **IMAGE_FIELDS,
    **BLOCK_FIELDS,
    "num_layers": range(1, 4),
    "num_classes": range(3, 12),
}


def tells_apart(*lengths: int) -> bool:
    """Whether all lengths differ, so that no axis can be taken for another."""
    return len(set(lengths)) == len(lengths)


def patches(sizes: Sizes) -> int:
    """N, the number of patches."""
    return int(sizes["grid_h"] * sizes["grid_w"])


def image(sizes: Sizes) -> ArraySpec:
    """The ``image`` of shape (H, W, C) that has ``grid_h`` × ``grid_w`` patches."""
    p = sizes["patch_size"]
    return ArraySpec((sizes["grid_h"] * p, sizes["grid_w"] * p, sizes["channels"]))


def derive_image(fields: Mapping[str, Any]) -> dict[str, Any] | None:
    """A draw with a patch grid: not square, at least two patches, P ≠ C."""
    h, w = fields["grid_h"], fields["grid_w"]
    if h == w or fields["patch_size"] == fields["channels"]:
        return None
    return dict(fields)


def derive_vit(fields: Mapping[str, Any]) -> dict[str, Any] | None:
    """A draw for a whole ViT: ``d_model`` = heads × head size, every axis of its own length."""
    sizes = derive_image(fields)
    if sizes is None:
        return None
    n, heads, d = patches(sizes), fields["num_heads"], fields["num_heads"] * fields["head_dim"]
    pixels = fields["patch_size"] ** 2 * fields["channels"]
    d_ff, classes = fields["d_ff"], fields.get("num_classes", 0)
    lengths = (n, n + 1, d, d_ff, classes, pixels, 2 * d, 3 * d, 4 * d)
    if not tells_apart(*lengths) or heads == fields["head_dim"]:
        return None
    return {**sizes, "d_model": d}


def derive_block(fields: Mapping[str, Any]) -> dict[str, Any] | None:
    """A draw for one block on ``tokens`` rows of width ``d_model``."""
    d = fields["num_heads"] * fields["head_dim"]
    lengths = (fields["tokens"], d, fields.get("d_ff", 0), 2 * d, 3 * d, 4 * d)
    if not tells_apart(*lengths) or fields["num_heads"] == fields["head_dim"]:
        return None
    return {**fields, "d_model": d}


def vit_symbols(sizes: Sizes) -> dict[str, int]:
    """Names for the lengths that occur in a ViT, for words like ``(N + 1, D)``."""
    named = {
        "D": sizes["d_model"],
        "N": patches(sizes),
        "N + 1": patches(sizes) + 1,
        "d_ff": sizes["d_ff"],
        "num_classes": sizes.get("num_classes", 0),
        "P·P·C": sizes["patch_size"] ** 2 * sizes["channels"],
        "3·D": 3 * sizes["d_model"],
    }
    return {name: length for name, length in named.items() if length}

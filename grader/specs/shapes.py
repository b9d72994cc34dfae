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
TOKEN_FIELDS: Mapping[str, Sequence[Any]] = {"tokens": range(2, 8), "scale": (1.0, 0.02)}
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


def tokens(sizes: Sizes) -> ArraySpec:
    """``tokens`` rows of width ``d_model``; small values show which epsilon a LayerNorm has."""
    return ArraySpec((sizes["tokens"], sizes["d_model"]), scale=sizes.get("scale", 1.0))


def derive_image(fields: Mapping[str, Any]) -> dict[str, Any] | None:
    """A draw with a patch grid: not square, at least two patches, P ≠ C, N ≠ P·P."""
    h, w, p = fields["grid_h"], fields["grid_w"], fields["patch_size"]
    if h == w or p == fields["channels"] or h * w == p * p:
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
    t, heads, head_dim = fields["tokens"], fields["num_heads"], fields["head_dim"]
    d = heads * head_dim
    lengths = (t, d, fields.get("d_ff", 0), 2 * d, 3 * d, 4 * d)
    if not tells_apart(*lengths) or not tells_apart(t, heads, head_dim):
        return None
    return {**fields, "d_model": d}


def block_symbols(sizes: Sizes) -> dict[str, int]:
    """Names for the lengths that occur in one block, for words like ``(T, D)``."""
    named = {
        "T": sizes["tokens"],
        "D": sizes["d_model"],
        "num_heads": sizes["num_heads"],
        "D / num_heads": sizes["head_dim"],
        "d_ff": sizes.get("d_ff", 0),
        "3·D": 3 * sizes["d_model"],
    }
    return {name: length for name, length in named.items() if length}


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


def derive_tokens(fields: Mapping[str, Any]) -> dict[str, Any] | None:
    """A draw of ``num_tokens`` rows of width ``d_model``: N, N + 1 and D differ."""
    n, d = fields["num_tokens"], fields["d_model"]
    return dict(fields) if tells_apart(n, n + 1, d) else None


def token_symbols(sizes: Sizes) -> dict[str, int]:
    """Names for the lengths of a sequence of tokens, for words like ``(N + 1, D)``."""
    n = sizes["num_tokens"]
    return {"D": sizes["d_model"], "N": n, "N + 1": n + 1}


def derive_patches(fields: Mapping[str, Any]) -> dict[str, Any] | None:
    """A draw for the patch embedding alone: two rows and columns at least, so that order shows."""
    sizes = derive_image(fields)
    if sizes is None or min(fields["grid_h"], fields["grid_w"]) < 2:
        return None
    n, pixels = patches(sizes), fields["patch_size"] ** 2 * fields["channels"]
    return sizes if tells_apart(n, n + 1, fields["d_model"], pixels) else None


def patch_symbols(sizes: Sizes) -> dict[str, int]:
    """Names for the lengths that occur in a patch embedding, for words like ``(N, D)``."""
    p, n = sizes["patch_size"], patches(sizes)
    height, width = image(sizes).shape[:2]
    return {
        "D": sizes["d_model"],
        "N": n,
        "P·P·C": p**2 * sizes["channels"],
        "H": height,
        "W": width,
    }

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

ONE_HEAD = {"num_heads": 1, "head_dim": 5, "d_ff": 7}
ALL_NINE = {"num_heads": 1, "head_dim": 9, "d_ff": 9}
ONE_FEATURE = {"num_heads": 1, "head_dim": 1, "d_ff": 70}
ONE_CHANNEL_A_HEAD = {"num_heads": 6, "head_dim": 1, "d_ff": 13}
TWELVE_HEADS = {"num_heads": 12, "head_dim": 2, "d_ff": 24}
MANY_HEADS = {"num_heads": 12, "head_dim": 6, "d_ff": 6}
SMALL = {"num_heads": 2, "head_dim": 3, "d_ff": 8}
WIDE_MLP = {**SMALL, "d_ff": 60}

TOKEN_CORNERS: tuple[Mapping[str, Any], ...] = (
    {"tokens": 5, "scale": 1.0, **ONE_HEAD},
    {"tokens": 70, "scale": 1.0, **TWELVE_HEADS},
    {"tokens": 1, "scale": 1e5, **SMALL},
    {"tokens": 6, "scale": 30.0, **ONE_CHANNEL_A_HEAD},
    {"tokens": 70, "scale": 1.0, **ONE_FEATURE},
)
"""One head, and as many rows as features; many heads and rows, and as many features as hidden
units; one row, of large values; heads of one channel, as many rows as features, large values; a
single feature, a wide MLP, and as many hidden units as rows."""

VIT_CORNERS: tuple[Mapping[str, Any], ...] = (
    {
        "grid_h": 3,
        "grid_w": 3,
        "patch_size": 1,
        "channels": 9,
        **ALL_NINE,
        "num_layers": 1,
        "num_classes": 9,
    },
    {
        "grid_h": 71,
        "grid_w": 1,
        "patch_size": 1,
        "channels": 1,
        **MANY_HEADS,
        "num_layers": 2,
        "num_classes": 2,
    },
    {
        "grid_h": 1,
        "grid_w": 1,
        "patch_size": 4,
        "channels": 3,
        "scale": 1e5,
        **SMALL,
        "num_layers": 2,
        "num_classes": 1,
    },
    {
        "grid_h": 1,
        "grid_w": 3,
        "patch_size": 2,
        "channels": 3,
        "scale": 0.0,
        **WIDE_MLP,
        "num_layers": 7,
        "num_classes": 4,
    },
)
"""A square grid of single pixels, one head, every length the same; many patches and heads,
N + 1 = D; one patch, one class and large values; a black image, a wide MLP and many layers.  There
are not many layers of many tokens: some answers loop over both."""


def tells_apart(*lengths: int) -> bool:
    """Whether all lengths differ, so that no axis can be taken for another."""
    return len(set(lengths)) == len(lengths)


def patches(sizes: Sizes) -> int:
    """N, the number of patches."""
    return int(sizes["grid_h"] * sizes["grid_w"])


def image(sizes: Sizes) -> ArraySpec:
    """The ``image`` of shape (H, W, C) that has ``grid_h`` × ``grid_w`` patches."""
    p = sizes["patch_size"]
    shape = (sizes["grid_h"] * p, sizes["grid_w"] * p, sizes["channels"])
    return ArraySpec(shape, scale=sizes.get("scale", 1.0))


def tokens(sizes: Sizes) -> ArraySpec:
    """``tokens`` rows of width ``d_model``; small values show which epsilon a LayerNorm has."""
    return ArraySpec((sizes["tokens"], sizes["d_model"]), scale=sizes.get("scale", 1.0))


def derive_width(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A draw with its ``d_model``: heads × head size."""
    return {**fields, "d_model": fields["num_heads"] * fields["head_dim"]}


def grid_tells(sizes: Sizes) -> bool:
    """Whether a patch grid tells its axes apart: not square, P ≠ C, N ≠ P·P."""
    h, w, p = sizes["grid_h"], sizes["grid_w"], sizes["patch_size"]
    return bool(h != w and p != sizes["channels"] and h * w != p * p)


def vit_tells(sizes: Sizes) -> bool:
    """Whether every axis of a whole ViT has a length of its own."""
    n, heads, d = patches(sizes), sizes["num_heads"], sizes["d_model"]
    pixels = sizes["patch_size"] ** 2 * sizes["channels"]
    d_ff, classes = sizes["d_ff"], sizes.get("num_classes", 0)
    lengths = (n, n + 1, d, d_ff, classes, pixels, 2 * d, 3 * d, 4 * d)
    return grid_tells(sizes) and tells_apart(*lengths) and heads != sizes["head_dim"]


def block_tells(sizes: Sizes) -> bool:
    """Whether one block on ``tokens`` rows of width ``d_model`` tells its axes apart."""
    t, d = sizes["tokens"], sizes["d_model"]
    lengths = (t, d, sizes.get("d_ff", 0), 2 * d, 3 * d, 4 * d)
    return tells_apart(*lengths) and tells_apart(t, sizes["num_heads"], sizes["head_dim"])


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


def tokens_tell(sizes: Sizes) -> bool:
    """Whether N, N + 1 and D differ for ``num_tokens`` rows of width ``d_model``."""
    n = sizes["num_tokens"]
    return tells_apart(n, n + 1, sizes["d_model"])


def token_symbols(sizes: Sizes) -> dict[str, int]:
    """Names for the lengths of a sequence of tokens, for words like ``(N + 1, D)``."""
    n = sizes["num_tokens"]
    return {"D": sizes["d_model"], "N": n, "N + 1": n + 1}


def patches_tell(sizes: Sizes) -> bool:
    """Whether the patch embedding alone shows the order: two rows and columns at least."""
    n, pixels = patches(sizes), sizes["patch_size"] ** 2 * sizes["channels"]
    whole = grid_tells(sizes) and min(sizes["grid_h"], sizes["grid_w"]) > 1
    return whole and tells_apart(n, n + 1, sizes["d_model"], pixels)


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

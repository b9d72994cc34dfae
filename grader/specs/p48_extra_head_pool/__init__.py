"""Problem 48: pooling with an extra channel in every head, and a ViT that ends in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grader.problem import Problem, Sizes, Stage
from grader.specs import blocks
from grader.specs.p48_extra_head_pool import pool, pool_pitfalls, vit, vote_pitfalls
from grader.specs.shapes import (
    VIT_CORNERS,
    VIT_FIELDS,
    derive_width,
    patches,
    tells_apart,
    vit_tells,
)

# Exact powers of two: then dividing by the temperature and multiplying by its inverse agree.
# 1.0 is what the model uses, so every draw of the pooling alone can use another one.
TEMPERATURES = (0.5, 2, 0.25)
# So large that a softmax without protection against overflow fails in float64 too.
SCALES = (1.0, 3.0, 1e5)
CORNERS = (
    {"temperature": 2.0**-14, "token_scale": 2.0**-14},
    {"temperature": 1024.0, "token_scale": 1024.0},
    {"temperature": 0.5, "token_scale": 3.0},
    {"temperature": 1.5, "token_scale": 1.5},
)


def _derive(fields: Mapping[str, Any]) -> Sizes:
    """A draw whose ``head_dim`` is d + 1: the features of a head and its vote."""
    sizes = derive_width(fields)
    width = sizes["d_model"]
    return {**sizes, "width": width, "output_dim": width - sizes["num_heads"]}


def _tells(sizes: Sizes) -> bool:
    n, heads = patches(sizes), sizes["num_heads"]
    lengths = (n, sizes["width"], sizes["output_dim"], sizes["d_ff"])
    apart = tells_apart(*lengths) and tells_apart(n, heads, sizes["head_dim"])
    return apart and vit_tells(sizes)


def _symbols(sizes: Sizes) -> dict[str, int]:
    return {
        "N": patches(sizes),
        "H": sizes["num_heads"],
        "d + 1": sizes["head_dim"],
        "H·d": sizes["output_dim"],
        "H·(d + 1)": sizes["width"],
        "d_ff": sizes["d_ff"],
        "P·P·C": sizes["patch_size"] ** 2 * sizes["channels"],
    }


PROBLEM = Problem(
    number=48,
    slug="extra_head_pool",
    title="Pooling by votes from an extra channel in every head",
    teaches="splitting channels into heads, softmax over patches, a convex sum one can look at",
    contracts=(pool.CONTRACT, vit.CONTRACT),
    fields={
        **{name: choices for name, choices in VIT_FIELDS.items() if name != "num_classes"},
        "temperature": TEMPERATURES,
        "token_scale": SCALES,
    },
    derive=_derive,
    tells=_tells,
    corners=tuple(
        {**{k: v for k, v in corner.items() if k != "num_classes"}, **more}
        for corner, more in zip(VIT_CORNERS, CORNERS, strict=True)
    ),
    symbols=_symbols,
    blocks=(38, 41),
    parameters={
        "patch_embed": "patch projection",
        "positions": "position table",
        **blocks.OF_EACH_BLOCK,
    },
    stages=(
        Stage("patches", "patches", rows=True),
        Stage("positions", "+positions", rows=True),
        Stage("attention_added", "block {i}: +attention", rows=True),
        Stage("mlp_added", "block {i}: +MLP", rows=True),
        Stage("votes", "mean vote of the heads"),
        Stage("probs", "probabilities of the patches"),
        Stage("features", "features without the votes"),
    ),
    pitfalls=(*vote_pitfalls.PITFALLS, *pool_pitfalls.PITFALLS, *vit.PITFALLS),
    hints=(
        "Begin with the pooling: it needs no model, and the walk-through has numbers for it.",
        (
            "Give the heads an axis of their own. Then the votes and the features are two slices "
            "of one array, and every other step says which axis it goes over."
        ),
        (
            "Pooling: split, mean of the votes over the heads, temperature, softmax over the "
            "patches, merge the features, weighted sum. Model: patches, positions, blocks, "
            "pooling; only the width is new."
        ),
    ),
)

"""Problem 40: multi-head self-attention from its parts."""

from __future__ import annotations

from grader.problem import Contract, Problem, Stage
from grader.specs.claims import EQUIVARIANT
from grader.specs.p40_self_attention import heads, scores
from grader.specs.shapes import (
    TOKEN_CORNERS,
    TOKEN_FIELDS,
    WIDTH_FIELDS,
    block_symbols,
    block_tells,
    derive_width,
    tokens,
)

PROBLEM = Problem(
    number=40,
    slug="self_attention",
    title="Multi-head self-attention",
    teaches="attention from its parts: projections, heads, scaled scores, softmax, mixing",
    contracts=(
        Contract(
            function="self_attention_forward",
            arguments=("seed", "x", "num_heads"),
            outputs=("tokens",),
            arrays=lambda sizes: {"x": tokens(sizes)},
            properties=(EQUIVARIANT,),
        ),
    ),
    fields={**TOKEN_FIELDS, **WIDTH_FIELDS},
    derive=derive_width,
    tells=block_tells,
    corners=tuple({k: v for k, v in corner.items() if k != "d_ff"} for corner in TOKEN_CORNERS),
    symbols=block_symbols,
    parameters={
        "query": "query projection",
        "key": "key projection",
        "value": "value projection",
        "out": "output projection",
    },
    stages=(
        Stage("scores", "scaled scores"),
        Stage("weights", "attention weights"),
        Stage("mixed", "values mixed in each head"),
    ),
    pitfalls=(*scores.PITFALLS, *heads.PITFALLS),
    hints=(
        "Put names to the axes of every intermediate array: token, head, channel, query, key.",
        (
            "Take the walk-through as a test: with its queries, keys and values, do you get its "
            "scores, its weights, its result?"
        ),
        (
            "Two products carry it all. The first turns queries and keys into one table for each "
            "head, the second averages the values with the rows of that table."
        ),
    ),
)

"""Problem 41: the pre-LN encoder block."""

from __future__ import annotations

from grader.problem import Contract, Edit, Problem, Stage, Variant
from grader.specs import blocks
from grader.specs.claims import EQUIVARIANT
from grader.specs.p41_encoder_block import mlp, norms, skips
from grader.specs.p41_encoder_block.quotes import GELU, NORM_1, NORM_2
from grader.specs.shapes import (
    BLOCK_FIELDS,
    TOKEN_CORNERS,
    TOKEN_FIELDS,
    block_symbols,
    block_tells,
    derive_width,
    tokens,
)

PROBLEM = Problem(
    number=41,
    slug="encoder_block",
    title="Pre-LN encoder block",
    teaches="the block that every ViT repeats: attention and MLP, each with LayerNorm and skip",
    contracts=(
        Contract(
            function="encoder_block_forward",
            arguments=("seed", "x", "num_heads", "d_ff"),
            outputs=("tokens",),
            arrays=lambda sizes: {"x": tokens(sizes)},
            properties=(EQUIVARIANT,),
        ),
    ),
    fields={**TOKEN_FIELDS, **BLOCK_FIELDS, "scale": (1.0, 0.002)},
    derive=derive_width,
    tells=block_tells,
    corners=TOKEN_CORNERS,
    symbols=block_symbols,
    blocks=(40,),
    parameters=blocks.PARAMETERS,
    stages=(
        Stage("attention_added", "+attention", rows=True),
        Stage("mlp_added", "+MLP", rows=True),
    ),
    pitfalls=(*norms.PITFALLS, *skips.PITFALLS, *mlp.PITFALLS),
    variants=(
        Variant(
            id="exact-gelu",
            remark="the exact (erf) GELU; here it is the tanh form, Flax's default",
            edits=(Edit(GELU, "y = nn.gelu(y, approximate=False)"),),
        ),
        *(
            Variant(
                id=f"epsilon-{which}",
                remark=(
                    f"the {which} LayerNorm of the block has epsilon 1e-5; here it is 1e-6, "
                    "Flax's default"
                ),
                edits=(Edit(norm, norm.replace("name=", "epsilon=1e-5, name=")),),
            )
            for which, norm in (("first", NORM_1), ("second", NORM_2))
        ),
    ),
    hints=(
        "Write the two formulas down and put a name to every intermediate value.",
        (
            "The block has two halves that are built alike: normalise, compute, add. Compare the "
            "value between the halves first."
        ),
        (
            "Each half adds to the tokens that came into it; what is added was computed from the "
            "normalised tokens. Attention comes first, then Dense, GELU, Dense."
        ),
    ),
)

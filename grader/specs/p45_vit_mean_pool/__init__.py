"""Problem 45: a Vision Transformer with mean pooling."""

from __future__ import annotations

from grader.problem import Contract, Edit, Problem, Stage, Variant
from grader.specs import blocks
from grader.specs.p45_vit_mean_pool import layers, tokens
from grader.specs.shapes import VIT_CORNERS, VIT_FIELDS, derive_width, image, vit_symbols, vit_tells

PROBLEM = Problem(
    number=45,
    slug="vit_mean_pool",
    title="Vision Transformer with mean pooling",
    teaches="a first complete ViT: from pixels to logits by averaging the tokens",
    contracts=(
        Contract(
            function="vit_forward",
            arguments=(
                "seed",
                "image",
                "patch_size",
                "d_model",
                "num_heads",
                "d_ff",
                "num_layers",
                "num_classes",
            ),
            outputs=("logits",),
            arrays=lambda sizes: {"image": image(sizes)},
        ),
    ),
    fields=VIT_FIELDS,
    derive=derive_width,
    tells=vit_tells,
    corners=VIT_CORNERS,
    symbols=vit_symbols,
    blocks=(38, 41),
    parameters={
        "patch_embed": "patch projection",
        "positions": "position table",
        **blocks.OF_EACH_BLOCK,
        "final_norm": "final LayerNorm",
        "head": "classification head",
    },
    stages=(
        Stage("patches", "patches", rows=True),
        Stage("positions", "+positions", rows=True),
        Stage("attention_added", "block {i}: +attention", rows=True),
        Stage("mlp_added", "block {i}: +MLP", rows=True),
        Stage("final_norm", "final LayerNorm", rows=True),
        Stage("mean", "mean over the tokens"),
    ),
    pitfalls=(*tokens.PITFALLS, *layers.PITFALLS),
    variants=(
        Variant(
            id="final-epsilon",
            remark="the final LayerNorm has epsilon 1e-5; here it is 1e-6, Flax's default",
            edits=(Edit(blocks.NORM, blocks.NORM.replace("name=", "epsilon=1e-5, name=")),),
        ),
    ),
    hints=(
        "Write the shape of every step down first; only two steps change the number of rows.",
        (
            "The model is a chain: patches, positions, blocks, LayerNorm, mean, logits. Check "
            "which of the intermediate values is the first to differ."
        ),
        (
            "Problems 38 and 41 are the parts. What is left: a learned table, a loop, one "
            "LayerNorm for the tokens, their mean and a last Dense."
        ),
    ),
)

"""Problem 46: a Vision Transformer with a CLS token."""

from __future__ import annotations

from grader.problem import Contract, Edit, Problem, Stage, Variant
from grader.specs import blocks
from grader.specs.p46_vit_cls import layers, tokens
from grader.specs.shapes import VIT_CORNERS, VIT_FIELDS, derive_width, image, vit_symbols, vit_tells

PROBLEM = Problem(
    number=46,
    slug="vit_cls",
    title="Vision Transformer with a CLS token",
    teaches="the whole ViT: patches, CLS, positions, blocks, classification from one token",
    contracts=(
        Contract(
            function="vit_cls_forward",
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
        "cls": "CLS token",
        "positions": "position table",
        **blocks.OF_EACH_BLOCK,
        "final_norm": "final LayerNorm",
        "head": "classification head",
    },
    stages=(
        Stage("patches", "patches", rows=True),
        Stage("cls", "+CLS", rows=True),
        Stage("positions", "+positions", rows=True),
        Stage("attention_added", "block {i}: +attention", rows=True),
        Stage("mlp_added", "block {i}: +MLP", rows=True),
        Stage("final_norm", "final LayerNorm", rows=True),
        Stage("row_0", "row 0"),
    ),
    pitfalls=(*tokens.PITFALLS, *layers.PITFALLS),
    variants=(
        Variant(
            id="final-epsilon",
            remark="the final LayerNorm has epsilon 1e-5; here it is 1e-6, Flax's default",
            edits=(
                Edit(
                    'nn.LayerNorm(name="final_norm")',
                    'nn.LayerNorm(epsilon=1e-5, name="final_norm")',
                ),
            ),
        ),
    ),
    hints=(
        "Write the shape of every step down first; each step changes at most one of the two axes.",
        (
            "The model is a chain: patches, one more row, positions, blocks, LayerNorm, one row, "
            "logits. Check which of the intermediate values is the first to differ."
        ),
        (
            "Problems 38, 39 and 41 are the parts. What is left is to join them, to normalise once "
            "more and to read the row of the CLS token."
        ),
    ),
)

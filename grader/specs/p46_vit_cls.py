"""Problem 46: a Vision Transformer with a CLS token."""

from __future__ import annotations

from grader.problem import Contract, Edit, Pitfall, Problem, Stage
from grader.specs.shapes import VIT_FIELDS, derive_vit, image, vit_symbols

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
    derive=derive_vit,
    symbols=vit_symbols,
    blocks=(38, 41),
    parameters={"cls": "CLS token", "positions": "position table", "final_norm": "final LayerNorm"},
    stages=(
        Stage("patches", "patches", rows=True),
        Stage("cls", "+CLS", rows=True),
        Stage("positions", "+positions", rows=True),
        Stage("attention_added", "block {i}: +attention", rows=True),
        Stage("mlp_added", "block {i}: +MLP", rows=True),
        Stage("final_norm", "final LayerNorm", rows=True),
        Stage("row_0", "row 0"),
    ),
    pitfalls=(
        Pitfall(
            id="last-row",
            title="the last row is read instead of row 0",
            advice="The logits come from the CLS token. Where does it stand in the sequence?",
            edits=(Edit("x[0]", "x[-1]"),),
            stage="row_0",
            hints=("Which row of the sequence belongs to the whole image?",),
        ),
    ),
)

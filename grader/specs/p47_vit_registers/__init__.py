"""Problem 47: a Vision Transformer with registers."""

from __future__ import annotations

from grader.problem import Contract, Edit, Problem, Sizes, Stage, Variant
from grader.specs import blocks
from grader.specs.p47_vit_registers import entering, leaving
from grader.specs.shapes import (
    VIT_CORNERS,
    VIT_FIELDS,
    derive_width,
    image,
    patches,
    tells_apart,
    vit_symbols,
    vit_tells,
)


def _tells(sizes: Sizes) -> bool:
    """Whether R registers cannot be mistaken for patches or features."""
    n, r = patches(sizes), sizes["num_registers"]
    others = (sizes["d_model"], sizes["d_ff"], sizes["num_classes"])
    return vit_tells(sizes) and tells_apart(n, n + 1, r) and tells_apart(n + 1 + r, *others)


def _symbols(sizes: Sizes) -> dict[str, int]:
    n, r = patches(sizes), sizes["num_registers"]
    registers = {"R": r, "N + R": n + r, "N + 1 + R": n + 1 + r} if r else {}
    return {**vit_symbols(sizes), **registers}


PROBLEM = Problem(
    number=47,
    slug="vit_registers",
    title="Vision Transformer with registers",
    teaches="tokens that stand for nothing: how they enter, where they count, how they leave",
    contracts=(
        Contract(
            function="vit_registers_forward",
            arguments=(
                "seed",
                "image",
                "patch_size",
                "d_model",
                "num_heads",
                "d_ff",
                "num_layers",
                "num_registers",
                "num_classes",
            ),
            outputs=("logits", "patch_tokens"),
            arrays=lambda sizes: {"image": image(sizes)},
        ),
    ),
    fields={**VIT_FIELDS, "num_registers": (0, 2, 3, 4)},
    derive=derive_width,
    tells=_tells,
    corners=tuple(
        {**corner, "num_registers": r} for corner, r in zip(VIT_CORNERS, (3, 9, 1, 5), strict=True)
    ),
    symbols=_symbols,
    blocks=(38, 41),
    parameters={
        "patch_embed": "patch projection",
        "cls": "CLS token",
        "positions": "position table",
        "registers": "registers",
        **blocks.OF_EACH_BLOCK,
        "final_norm": "final LayerNorm",
        "head": "classification head",
    },
    stages=(
        Stage("patches", "patches", rows=True),
        Stage("cls", "+CLS", rows=True),
        Stage("positions", "+positions", rows=True),
        Stage("registers", "+registers", rows=True),
        Stage("attention_added", "block {i}: +attention", rows=True),
        Stage("mlp_added", "block {i}: +MLP", rows=True),
        Stage("final_norm", "final LayerNorm", rows=True),
        Stage("row_0", "row of the CLS token"),
        Stage("patch_tokens", "patch tokens"),
    ),
    pitfalls=(*entering.PITFALLS, *leaving.PITFALLS),
    variants=(
        Variant(
            id="final-epsilon",
            remark="the final LayerNorm has epsilon 1e-5; here it is 1e-6, Flax's default",
            edits=(
                Edit('nn.LayerNorm(name="final_norm")', 'nn.LayerNorm(1e-5, name="final_norm")'),
            ),
        ),
    ),
    hints=(
        (
            "Write a table of the rows in the sequence: which token is in which row, before and "
            "after the registers join. Everything else is problem 46."
        ),
        (
            "Check the three moments one by one: the registers enter after the positions, live "
            "through all blocks, and leave after the final LayerNorm. Then try R = 0."
        ),
        (
            "The sequence has N + 1 rows while positions are added and N + 1 + R in the blocks. At "
            "the end one row goes to the head and N rows are returned, all of them normalised."
        ),
    ),
)

"""Encoder blocks in every ViT: their parameters in words, what goes wrong in the loop over them."""

from __future__ import annotations

from grader.problem import Edit, Pitfall

LOOP = "for i in range(self.num_layers):"
PARAMETERS = {
    "norm_1": "LayerNorm before the attention",
    "attention/query": "query projection",
    "attention/key": "key projection",
    "attention/value": "value projection",
    "attention/out": "output projection of the attention",
    "norm_2": "LayerNorm before the MLP",
    "mlp_in": "first Dense of the MLP",
    "mlp_out": "second Dense of the MLP",
}
"""What people call the parameters of a block."""
OF_EACH_BLOCK = {f"block_*/{path}": f"{name} of each block" for path, name in PARAMETERS.items()}
BLOCK = 'x = EncoderBlock(self.num_heads, self.d_ff, name=f"block_{i}")(x)'
BLOCK_0 = 'EncoderBlock(self.num_heads, self.d_ff, name="block_0")'
NORM = 'checkpoint_name(nn.LayerNorm(name="final_norm")(x), "final_norm")'

WHICH_BLOCKS = (
    Pitfall(
        id="shared-block",
        title="one and the same block is applied in every layer",
        advice=(
            "Each layer has weights of its own. A block that is created once and applied "
            "several times has the parameters of a single layer."
        ),
        edits=(
            Edit(LOOP, f"block = {BLOCK_0}\n        for _ in range(self.num_layers):"),
            Edit(BLOCK, "x = block(x)"),
        ),
        check="parameters",
        stage="attention_added",
        hints=(
            "Does the number of your parameters grow with num_layers?",
            "How many blocks does your code create, and how many does it apply?",
        ),
    ),
    Pitfall(
        id="one-block-short",
        title="one block too few is applied",
        advice=(
            "The model has num_layers encoder blocks, all of them alike. Look at where the "
            "loop begins and where it ends."
        ),
        edits=(Edit(LOOP, "for i in range(self.num_layers - 1):"),),
        check="parameters",
        stage="attention_added",
        hints=(
            "With num_layers = 1, how many blocks does your model apply?",
            "The loop over the blocks stops one step early.",
        ),
    ),
    Pitfall(
        id="blocks-read-the-embedding",
        title="every block reads what the first one reads",
        advice=(
            "Each block continues from what the one before it left. Here all of them are applied "
            "to the embedded patches, so that only the last one counts."
        ),
        edits=(
            Edit(LOOP, f"embedded = x\n        {LOOP}"),
            Edit(BLOCK, BLOCK.replace(")(x)", ")(embedded)")),
        ),
        stage="attention_added",
        hints=(
            "Does anything that your first block computes reach the logits?",
            "What goes into a block, and what becomes of its result?",
        ),
    ),
)

NORM_IN_THE_LOOP = (
    Pitfall(
        id="norm-in-the-loop",
        title="the final LayerNorm stands inside the loop over the blocks",
        advice=(
            "There is one final LayerNorm, behind the last block. Inside the loop a new one is "
            "created for each block, and what the residual stream carries is normalised on its way."
        ),
        edits=(
            Edit(BLOCK, f'{BLOCK}\n            x = nn.LayerNorm(name=f"norm_{{i}}")(x)'),
            Edit(NORM, 'checkpoint_name(x, "final_norm")'),
        ),
        check="parameters",
        stage="attention_added",
        hints=(
            "How many LayerNorms does your model create with num_layers = 1, and how many with 3?",
            "How far is the line of your final LayerNorm indented?",
        ),
    ),
    Pitfall(
        id="final-norm-after-every-block",
        title="the final LayerNorm is applied after every block",
        advice=(
            "In a pre-LN model nothing stands on the residual stream between two blocks; each "
            "branch has a LayerNorm of its own. The final one comes once, behind the last block."
        ),
        edits=(
            Edit(LOOP, f'norm = nn.LayerNorm(name="final_norm")\n        {LOOP}'),
            Edit(BLOCK, f"{BLOCK}\n            x = norm(x)"),
            Edit(NORM, 'checkpoint_name(x, "final_norm")'),
        ),
        stage="attention_added",
        hints=(
            "How often is your final LayerNorm applied with num_layers = 3?",
            "Is what enters your second block what left the first?",
        ),
    ),
)

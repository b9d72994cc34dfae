"""How the CLS token and the positions come in, and how that goes wrong."""

from __future__ import annotations

from grader.problem import Edit, Pitfall
from grader.specs.blocks import LOOP
from grader.specs.p46_vit_cls.quotes import ADD, CLS, JOIN, ROW_0, TABLE

PITFALLS = (
    Pitfall(
        id="cls-flat",
        title="the CLS token has shape (D,) and cannot join the sequence",
        advice=(
            "The tokens are a matrix with one row each; a vector of D numbers has no row "
            "axis, so it cannot be joined to them as it is."
        ),
        edits=(Edit(CLS, CLS.replace("(1, self.d_model)", "(self.d_model,)")),),
        check="runs",
        stage="cls",
        hints=(
            "Concatenation wants the same number of axes on both sides.",
            "How many axes does one row of an (N, D) array need in order to stay a row?",
        ),
    ),
    Pitfall(
        id="cls-features",
        title="the CLS token is concatenated along the features",
        advice=(
            "The CLS token is one more token, not one more feature. The sequence grows "
            "from N to N + 1 rows and its width stays D."
        ),
        edits=(Edit(JOIN, JOIN.replace("axis=0", "axis=1")),),
        check="runs",
        stage="cls",
        hints=(
            "Write the shape of the sequence before and after the CLS token down.",
            "Which axis counts the tokens? That is the one along which to join.",
        ),
    ),
    Pitfall(
        id="cls-every-row",
        title="the CLS token is added to every patch instead of joining them",
        advice=(
            "Added to all rows, the CLS token is only a bias. It has to be a row of its own, "
            "which attends to the patches and can be read at the end."
        ),
        edits=(Edit(JOIN, 'checkpoint_name(cls + x, "cls")'),),
        check="parameters",
        stage="cls",
        hints=(
            "How many rows should the sequence have once the CLS token is there?",
            "The CLS token stands beside the patches, not on top of them.",
        ),
    ),
    Pitfall(
        id="cls-fixed",
        title="the CLS token is a constant, not a parameter",
        advice=(
            "The CLS token is learned: training finds out which question it should put to "
            "the patches. A row of zeros gets no gradient and never changes."
        ),
        edits=(Edit(CLS, "cls = jnp.zeros((1, self.d_model))"),),
        check="parameters",
        stage="cls",
        hints=(
            "Count your parameters: one row is missing.",
            "What makes an array in a Linen module one that the optimiser can change?",
        ),
    ),
    Pitfall(
        id="cls-last",
        title="the CLS token is appended at the end",
        advice=(
            "The CLS token comes before the patches. At the end of the sequence it gets the "
            "last position, and the first row is a patch, not the CLS token."
        ),
        edits=(Edit(JOIN, JOIN.replace("[cls, x]", "[x, cls]")),),
        stage="positions",
        hints=(
            "Which token does row 0 hold after you have joined the two?",
            "The order in which arrays are concatenated is their order in the sequence.",
        ),
    ),
    Pitfall(
        id="positions-short",
        title="the position table has N rows, one too few",
        advice=(
            "By the time positions are added the sequence has one token more than there are "
            "patches, and that token has a position too."
        ),
        edits=(Edit(TABLE, TABLE.replace("x.shape", "(x.shape[0] - 1, self.d_model)")),),
        check="runs",
        stage="positions",
        hints=(
            "How long is the sequence when the positions are added?",
            "The CLS token has a position of its own.",
        ),
    ),
    Pitfall(
        id="positions-before-cls",
        title="positions are added to the patches before the CLS token joins",
        advice=(
            "Added that early, the position table has a row for each patch and none for the "
            "CLS token. First the sequence is completed, then all of it gets positions."
        ),
        edits=(
            Edit(
                f"{CLS}\n        x = {JOIN}\n        {TABLE}\n        x = {ADD}",
                f"{CLS}\n        {TABLE}\n        x = x + positions\n"
                f'        x = checkpoint_name(jnp.concatenate([cls, x], axis=0), "positions")',
            ),
        ),
        check="parameters",
        stage="cls",
        hints=(
            "Two steps are in the wrong order. Which one changes the number of rows?",
            "How many rows should the position table have?",
        ),
    ),
    Pitfall(
        id="positions-not-for-cls",
        title="the CLS token gets no position",
        advice=(
            "The table has N + 1 rows and all of them are added. Here the first row is never "
            "used, so it would not learn anything."
        ),
        edits=(Edit(ADD, 'checkpoint_name(x.at[1:].add(positions[1:]), "positions")'),),
        stage="positions",
        hints=(
            "Which rows of your position table have an effect on the logits?",
            "Positions are added to the whole sequence, not to the patches alone.",
        ),
    ),
    Pitfall(
        id="positions-missing",
        title="no position embedding is added",
        advice=(
            "Attention does not see in which order the tokens stand. Without positions the "
            "model takes any shuffling of the patches for the same image."
        ),
        edits=(Edit(f"{TABLE}\n        ", ""), Edit(ADD, 'checkpoint_name(x, "positions")')),
        check="parameters",
        stage="positions",
        hints=(
            "Would your model notice if the patches were shuffled?",
            "A learned table is added to the tokens before the first block.",
        ),
    ),
    Pitfall(
        id="positions-fixed",
        title="the position table is a constant, not a parameter",
        advice=(
            "Drawing random numbers does not make them learnable. As the table is no "
            "parameter of the module, no optimiser will ever change it."
        ),
        edits=(
            Edit(
                TABLE,
                "positions = nn.initializers.normal(0.02)(jax.random.key(0), x.shape)",
            ),
        ),
        check="parameters",
        stage="positions",
        hints=(
            "Is the position table among the parameters that init returns?",
            "An array is learned only if the module declares it as a parameter.",
        ),
    ),
    Pitfall(
        id="positions-every-block",
        title="positions are added again before every block",
        advice=(
            "The skip connections carry the positions through all the blocks, so they are "
            "added once. Added again, they pile up with every layer."
        ),
        edits=(
            Edit(f"\n        x = {ADD}", ""),
            Edit(LOOP, f"{LOOP}\n            x = {ADD}"),
        ),
        stage="attention_added",
        hints=(
            "How often are positions added in a model with twelve blocks?",
            "Which of your lines belong inside the loop over the blocks?",
        ),
    ),
    Pitfall(
        id="cls-last-and-read-there",
        title="the CLS token stands at the end, with the last position",
        advice=(
            "It is read where it stands, so all hangs together; but the contract has it in "
            "front: position 0 is that of the CLS token, and patch i has position i + 1."
        ),
        edits=(
            Edit(JOIN, JOIN.replace("[cls, x]", "[x, cls]")),
            Edit(ROW_0, ROW_0.replace("x[0]", "x[-1]")),
        ),
        stage="positions",
        hints=(
            "Which row of the position table is added to the CLS token?",
            "The order in which arrays are concatenated is their order in the sequence.",
        ),
    ),
)
